// @modelcontextprotocol/sdk, which knows sessions and resources/subscribe only.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { headers, run, url } from './scenario.mjs';

const client = new Client({ name: 'sdk-v1', version: '1' });
const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers } });
await client.connect(transport);

async function subscribe(uri, changed) {
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, update =>
    changed(update.params.uri)
  );
  await client.subscribeResource({ uri });
}

await run({ client, protocol: transport.protocolVersion, subscribe });
await transport.terminateSession();
await client.close();
