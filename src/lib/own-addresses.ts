import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

// Addresses that mean something else to Waybill than to the container that names them: its own loopback, its
// neighbours on the link, the cloud's metadata service. A label that aims there would be served with our rights.
const OURS = new BlockList();
OURS.addSubnet("0.0.0.0", 8);
OURS.addSubnet("127.0.0.0", 8);
OURS.addSubnet("169.254.0.0", 16);
OURS.addAddress("100.100.100.200");
OURS.addSubnet("224.0.0.0", 4);
OURS.addAddress("::", "ipv6");
OURS.addAddress("::1", "ipv6");
OURS.addSubnet("fe80::", 10, "ipv6");
OURS.addSubnet("ff00::", 8, "ipv6");
OURS.addAddress("fd00:ec2::254", "ipv6");

/** Whether the address, of whichever family, is one of those. */
export function isOwnAddress(ip: string): boolean {
  return OURS.check(ip, isIP(ip) === 6 ? "ipv6" : "ipv4");
}

/** Resolves names as usual, but not to those: the name may be somebody else's to define. */
export const lookupForeign: LookupFunction = (host, options, callback) => {
  lookup(host, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, [], 0);
    const foreign = found.filter(({ address }) => !isOwnAddress(address));
    const [first] = foreign;
    if (first === undefined) return callback(refusal(host), [], 0);
    if (options.all === true) callback(null, foreign);
    else callback(null, first.address, first.family);
  });
};

function refusal(host: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${host} is an address of Waybill's own`);
  error.code = "EREFUSED";
  error.syscall = "getaddrinfo";
  return error;
}
