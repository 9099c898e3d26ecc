// What each TypeScript client does, with one JSON line on stdout after each step.
// MCP_URL, MCP_TOKEN and MCP_SESSION say where, as whom and in which session.

export const url = new URL(process.env.MCP_URL);
export const headers = { Authorization: `Bearer ${process.env.MCP_TOKEN}` };
const session_id = process.env.MCP_SESSION;

function say(step, said) {
  process.stdout.write(JSON.stringify({ step, ...said }) + '\n');
}

const contents = page => page.messages.map(message => message.content);

// client: connected, with listTools and callTool.
// subscribe(uri, changed): resolves once the server has taken it; changed(uri) for each update.
export async function run({ client, protocol, subscribe }) {
  const call = async (name, args) => {
    const result = await client.callTool({ name, arguments: args });
    return result.isError ? { refused: result.content[0].text } : result.structuredContent;
  };
  say('connected', { protocol, server: client.getServerVersion().name });

  const { tools } = await client.listTools();
  say('listed', { tools: tools.map(tool => tool.name) });

  await call('create_session', { purpose: 'A client of another maker', session_id });
  const mine = await call('add_message', { session_id, content: 'hello from TypeScript' });
  say('added', mine);
  const page = await call('get_messages', { session_id });
  say('read', { contents: contents(page) });
  say('refused', await call('get_messages', { session_id: 'nowhere' }));

  say('waiting', { after: mine.message_id });
  const heard = await call('wait_for_messages', { session_id, after: mine.message_id });
  const after = heard.messages.at(-1).id;
  say('woken', { outcome: heard.outcome, contents: contents(heard) });

  const uri = `session://${session_id}/messages`;
  const updates = [];
  let wake;
  const first = new Promise(resolve => (wake = resolve));
  await subscribe(uri, changed => {
    updates.push(changed);
    wake();
  });
  say('subscribed', { uri });
  await first;
  const news = await call('get_messages', { session_id, after });
  say('heard', { updates, contents: contents(news) });
}
