// An authority and certificates that it signed, made by the openssl program in a folder that goes away with the process.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const folder = mkdtempSync(path.join(os.tmpdir(), 'ringcast-certificates-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' });
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
export const pem = (name) => path.join(folder, `${name}.pem`);
export const key = (name) => path.join(folder, `${name}.key`);

export function makeAuthority(name) {
  openssl('req', '-x509', ...NEW_KEY, '-days', '2', '-subj', `/CN=${name}`, '-addext', 'basicConstraints=critical,CA:TRUE',
    '-keyout', key(name), '-out', pem(name));
}

export function makeSelfSigned(name, names = 'DNS:localhost,IP:127.0.0.1') {
  openssl('req', '-x509', ...NEW_KEY, '-days', '2', '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`, '-keyout', key(name), '-out', pem(name));
}

// names: as in subjectAltName, "DNS:localhost,IP:127.0.0.1".
export function makeCertificate(name, { authority = 'ca', names = 'DNS:localhost,IP:127.0.0.1' } = {}) {
  const extensions = path.join(folder, `${name}.ext`);
  writeFileSync(extensions, `subjectAltName=${names}\n`);
  openssl('req', '-new', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', key(name), '-out', path.join(folder, `${name}.csr`));
  openssl('x509', '-req', '-in', path.join(folder, `${name}.csr`), '-CA', pem(authority), '-CAkey', key(authority), '-CAcreateserial',
    '-days', '2', '-extfile', extensions, '-out', pem(name));
}

export const identity = (name) => ({ cert: readFileSync(pem(name)), key: readFileSync(key(name)) });
