/** Configuration to add this server to an agent. Pure. It refers to the token by a variable. */

const VARIABLE = "PARTYLINE_TOKEN";

/** `[{client, where, text}]` for an MCP server at `url`; `open`: no token is needed. */
export function snippets(url, open = false) {
  const json = (value) => JSON.stringify(value, null, 2);
  const bearer = (reference) => (open ? {} : { headers: { Authorization: `Bearer ${reference}` } });
  return [
    {
      client: "Claude Code",
      where: "In a terminal, in your project",
      text:
        `claude mcp add --scope project --transport http partyline ${url}` +
        (open ? "" : ` --header 'Authorization: Bearer \${${VARIABLE}}'`),
    },
    {
      client: "Codex",
      where: "In a terminal",
      text:
        `codex mcp add partyline --url ${url}` +
        (open ? "" : ` --bearer-token-env-var ${VARIABLE}`),
    },
    {
      client: "Cursor",
      where: ".cursor/mcp.json",
      text: json({ mcpServers: { partyline: { url, ...bearer(`\${env:${VARIABLE}}`) } } }),
    },
    {
      client: "VS Code",
      where: ".vscode/mcp.json",
      text: json({
        ...(open
          ? {}
          : {
              inputs: [
                {
                  type: "promptString",
                  id: "partyline-token",
                  description: "Partyline token",
                  password: true,
                },
              ],
            }),
        servers: { partyline: { type: "http", url, ...bearer("${input:partyline-token}") } },
      }),
    },
    {
      client: "Gemini CLI",
      where: "~/.gemini/settings.json",
      text: json({ mcpServers: { partyline: { httpUrl: url, ...bearer(`$${VARIABLE}`) } } }),
    },
  ];
}

/** The line that sets the variable to a new token; `command`: how the operator calls partyline. */
export const tokenLine = (command) =>
  `export ${VARIABLE}="$(${command} token --agent claude --type claude` +
  ` --scopes read,write | tail -n 1)"`;
