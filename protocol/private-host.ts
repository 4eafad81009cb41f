/** Which hosts an address from outside may not name: this computer and the networks around it. */
import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Not for the public internet. Source: IANA's IPv4 special-purpose registry (RFC 6890). */
const PRIVATE_IPV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

/**
 * Inside the global range 2000::/3, the parts that are not for the public internet, or that hold an
 * IPv4 address which could be anything. Source: IANA's IPv6 special-purpose registry (RFC 6890).
 */
const PRIVATE_IPV6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

/**
 * Names that are answered inside a network only. Sources: RFC 6761, 6762, 8375; ICANN's .internal.
 */
const PRIVATE_SUFFIX = /\.(localhost|local|localdomain|internal|intranet|lan|home|corp|arpa)$/;

const privateIpv4 = new BlockList();
for (const [net, prefix] of PRIVATE_IPV4) privateIpv4.addSubnet(net, prefix, 'ipv4');
const privateIpv6 = new BlockList();
for (const [net, prefix] of PRIVATE_IPV6) privateIpv6.addSubnet(net, prefix, 'ipv6');
const globalIpv6 = new BlockList();
globalIpv6.addSubnet('2000::', 3, 'ipv6');
const mappedIpv4 = new BlockList();
mappedIpv4.addSubnet('::ffff:0:0', 96, 'ipv6');

/**
 * True for a host that is not for the public internet: loopback, private and link-local addresses
 * in
 * every spelling, `localhost`, `.local` and their like, names without a dot, and what is no host at
 * all. A public name may still resolve to a private address: this reads the name only.
 */
export function isPrivateHost(host: string): boolean {
  const name = canonicalHost(host);
  if (name === undefined) return true;
  if (isIPv4(name)) return privateIpv4.check(name, 'ipv4');
  if (isIPv6(name)) return isPrivateIpv6(name);
  return !name.includes('.') || PRIVATE_SUFFIX.test(name);
}

function isPrivateIpv6(address: string): boolean {
  if (mappedIpv4.check(address, 'ipv6')) return privateIpv4.check(address, 'ipv6');
  return !globalIpv6.check(address, 'ipv6') || privateIpv6.check(address, 'ipv6');
}

/** The host as a URL spells it: `127.1`, `0x7f000001` and `LOCALHOST.` lose their disguise. */
function canonicalHost(host: string): string | undefined {
  const bracketed = isIPv6(host) ? `[${host}]` : host;
  // Nothing that would make it more than a host in a URL.
  if (!/^(\[[^\]]*\]|[^:/\\?#@]*)$/.test(bracketed)) return undefined;
  const url = URL.parse(`http://${bracketed}/`);
  if (!url) return undefined;
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}
