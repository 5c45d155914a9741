// Whom our client trusts over wss, with Node's TLS (OpenSSL) as the other end, and through a proxy.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { identity, key, makeAuthority, makeCertificate, makeSelfSigned, pem } from './certificates.mjs';
import { faces, startClient } from './client.mjs';

makeAuthority('ca');
makeAuthority('foreign-ca');
makeCertificate('server');
makeCertificate('other', { names: 'DNS:other.test' });
makeCertificate('foreign', { authority: 'foreign-ca' });
makeCertificate('client');
makeSelfSigned('alone');

// A wss server with that certificate; what each connection agreed on is in `sessions`.
async function withServer(options, use) {
  const web = https.createServer(options);
  const sockets = new WebSocketServer({ server: web, perMessageDeflate: false });
  const server = { sessions: [], sockets };
  sockets.on('connection', (ws) => {
    const tls = ws._socket;
    server.sessions.push({ resumed: tls.isSessionReused(), protocol: tls.getProtocol(), alpn: tls.alpnProtocol,
      name: tls.servername, peer: tls.getPeerCertificate()?.subject?.CN });
    ws.on('message', (data, binary) => ws.send(data, { binary }));
  });
  web.on('tlsClientError', (error, socket) => { server.clientError = error; socket.destroy(); });
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  server.port = web.address().port;
  try {
    await use(server);
  } finally {
    for (const ws of sockets.clients) ws.terminate();
    web.close();
    web.closeAllConnections();
  }
}

// The end of an attempt that must not be tried again.
async function refused(url, args, face) {
  const client = startClient(url, ['--face', face, ...args]);
  if (face === 'event') {
    const error = await client.next('error');
    assert.equal(error.fatal, true);
    const closed = await client.next('close');
    assert.equal(closed.reason, error.text);
    assert.equal(await client.stop(), 0);
    return `${error.kind} ${error.text}`;
  }
  const closed = await client.next('close');
  await client.stop();
  return closed.reason;
}

for (const face of faces) {
  test(`${face}: an unknown authority, another host name and a self-signed certificate are refused`, async () => {
    await withServer(identity('foreign'), async ({ port }) => {
      assert.match(await refused(`wss://localhost:${port}`, ['--ca', pem('ca')], face), /not signed by an authority that is trusted here$/);
      // Without an own authority the system's store decides.
      assert.match(await refused(`wss://localhost:${port}`, [], face), /not signed by an authority that is trusted here$/);
    });
    await withServer(identity('other'), async ({ port }) => {
      assert.match(await refused(`wss://localhost:${port}`, ['--ca', pem('ca')], face), /for another host name$/);
    });
    await withServer(identity('alone'), async ({ port }) => {
      assert.match(await refused(`wss://localhost:${port}`, ['--ca', pem('ca')], face), /trusted here$/);
    });
  });

  test(`${face}: the system's store, SNI, ALPN, and the one switch that verifies nothing`, async () => {
    await withServer({ ...identity('server'), ALPNProtocols: ['http/1.1'] }, async (server) => {
      const trusting = startClient(`wss://localhost:${server.port}`, ['--face', face], { env: { SSL_CERT_FILE: pem('ca') } });
      await trusting.next('open');
      await trusting.stop();
      assert.deepEqual([server.sessions[0].name, server.sessions[0].alpn], ['localhost', 'http/1.1']);
    });
    await withServer(identity('other'), async (server) => {
      const named = startClient(`wss://127.0.0.1:${server.port}`, ['--face', face, '--ca', pem('ca'), '--server-name', 'other.test']);
      await named.next('open');
      await named.stop();
      assert.equal(server.sessions[0].name, 'other.test');
      const blind = startClient(`wss://localhost:${server.port}`, ['--face', face, '--insecure']);
      await blind.next('open');
      await blind.stop();
    });
  });

  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const versions = { minVersion: version, maxVersion: version };
    // That a certificate is refused Node tells by closing, after the handshake, so this is left to Python's server.
    test(`${face}: ${version}: a client certificate is shown`, async () => {
      const asking = { ...identity('server'), ...versions, ca: readFileSync(pem('ca')), requestCert: true, rejectUnauthorized: true };
      await withServer(asking, async (server) => {
        const url = `wss://localhost:${server.port}`;
        const known = startClient(url, ['--face', face, '--ca', pem('ca'), '--cert', pem('client'), '--key', key('client')]);
        await known.next('open');
        await known.stop();
        assert.equal(server.sessions[0].peer, 'client');
      });
    });

    test(`${face}: ${version}: a lost connection comes back with the session's ticket`, async () => {
      await withServer({ ...identity('server'), ...versions }, async (server) => {
        const client = startClient(`wss://localhost:${server.port}`, ['--face', face, '--ca', pem('ca')]);
        await client.next('open');
        // The ticket of TLS 1.3 comes behind the handshake; a message behind that says that it is there.
        const [ws] = server.sockets.clients;
        ws.removeAllListeners('message');
        const answered = once(ws, 'message');
        ws.send('are you there');
        await answered;
        const again = once(server.sockets, 'connection');
        ws.terminate();
        await again;
        await client.stop();
        assert.deepEqual(server.sessions.map(({ resumed, protocol }) => [resumed, protocol]), [[false, version], [true, version]]);
      });
    });
  }

  test(`${face}: no version in common, and a server that speaks plain HTTP, are told and not tried again`, async () => {
    await withServer({ ...identity('server'), ciphers: 'ECDHE-ECDSA-AES256-SHA', maxVersion: 'TLSv1.2' }, async ({ port }) => {
      assert.match(await refused(`wss://localhost:${port}`, ['--ca', pem('ca')], face), /the peer refused with the alert handshake_failure/);
    });
    const plain = http.createServer().listen(0, '127.0.0.1');
    await once(plain, 'listening');
    assert.match(await refused(`wss://localhost:${plain.address().port}`, [], face), /plain HTTP on this port and not TLS$/);
    plain.close();
  });

  test(`${face}: wss goes through a proxy by CONNECT, and what the proxy refuses is told`, async () => {
    await withServer(identity('other'), async (server) => {
      const asked = [];
      const proxy = http.createServer();
      proxy.on('connect', (request, socket, head) => {
        asked.push([request.url, request.headers['proxy-authorization'] ?? '']);
        if (!request.headers['proxy-authorization']) return socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
        const upstream = net.connect(server.port, '127.0.0.1', () => {
          socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
          upstream.write(head);
          upstream.pipe(socket).pipe(upstream);
        });
        upstream.on('error', () => socket.destroy());
        socket.on('error', () => upstream.destroy());
      });
      proxy.listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      const url = 'wss://other.test/';
      const via = (user) => ['--ca', pem('ca'), '--proxy', `http://${user}127.0.0.1:${proxy.address().port}`];
      const client = startClient(url, ['--face', face, ...via('u:p@')]);
      await client.next('open');
      await client.stop();
      assert.match(await refused(url, via(''), face), /the proxy answered 407/);
      assert.deepEqual(asked, [['other.test:443', `Basic ${Buffer.from('u:p').toString('base64')}`], ['other.test:443', '']]);
      proxy.close();
      proxy.closeAllConnections();
    });
  });
}
