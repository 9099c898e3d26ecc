// @modelcontextprotocol/client, which finds out by itself which era the server speaks.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { headers, run, url } from './scenario.mjs';

const client = new Client(
  { name: 'client-v2', version: '1' },
  { versionNegotiation: { mode: process.argv[2] } }
);
await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));

async function subscribe(uri, changed) {
  client.setNotificationHandler('notifications/resources/updated', update =>
    changed(update.params.uri)
  );
  if (process.argv[2] === 'legacy') await client.subscribeResource({ uri });
  else await client.listen({ resourceSubscriptions: [uri] });
}

await run({ client, protocol: client.getNegotiatedProtocolVersion(), subscribe });
await client.close();
