// RFC 7541 appendix B: how many bits the code of each byte has, and of EOS at the end. The codes themselves follow, as
// they are canonical: shorter ones first, those of one length in the order of their bytes, each one more than the last.
const BITS = `
13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
30`;

const EOS = 256;
/** The state after a whole code, where decoding begins. */
const ROOT = 0;
/** The state after EOS or when nothing fits, which is never left. */
const SINK = 256;

const bits = Uint8Array.from(BITS.trim().split(/\s+/), Number);
const codes = canonical();

// By state and the next four bits: the state after them times 16, above it the byte that they complete, above that
// whether they do (no code is shorter than 5 bits, so never two).
const steps = new Uint32Array((SINK + 1) * 16);
const BYTE_SHIFT = 13;
const DONE_SHIFT = 21;
const STATE = (1 << BYTE_SHIFT) - 1;
/** The states at which a text may end: after a whole code, or after up to seven ones of padding (RFC 7541 §5.2). */
const mayEnd = new Uint8Array(SINK + 1);
build();

function canonical(): Uint32Array {
  const made = new Uint32Array(EOS + 1);
  let next = 0;
  for (let length = 1; length <= 30; length++) {
    next *= 2;
    for (let byte = 0; byte <= EOS; byte++) if (bits[byte] === length) made[byte] = next++;
  }
  return made;
}

function build(): void {
  const branches = tree();
  for (let state = 0; state < SINK; state++)
    for (let four = 0; four < 16; four++) steps[state * 16 + four] = step(branches, state, four);
  for (let four = 0; four < 16; four++) steps[SINK * 16 + four] = SINK * 16;
  let state = ROOT;
  for (let ones = 0; ones < 8; ones++) {
    mayEnd[state] = 1;
    state = branches[state * 2 + 1]!;
  }
}

/** By state and bit: the next state, or the byte that is complete, as a negative number less one. */
function tree(): Int32Array {
  const branches = new Int32Array(SINK * 2);
  let states = 1;
  for (let byte = 0; byte <= EOS; byte++) {
    let state = ROOT;
    for (let left = bits[byte]! - 1; left > 0; left--) {
      const branch = state * 2 + ((codes[byte]! >> left) & 1);
      if (branches[branch] === 0) branches[branch] = states++;
      state = branches[branch]!;
    }
    branches[state * 2 + (codes[byte]! & 1)] = -1 - byte;
  }
  return branches;
}

function step(branches: Int32Array, from: number, four: number): number {
  let state = from;
  let done = 0;
  for (let left = 3; left >= 0; left--) {
    const branch = branches[state * 2 + ((four >> left) & 1)]!;
    if (branch >= 0) state = branch;
    else if (branch === -1 - EOS) return SINK * 16;
    else {
      done = (1 << DONE_SHIFT) | ((-1 - branch) << BYTE_SHIFT);
      state = ROOT;
    }
  }
  return done | (state * 16);
}

/** The most bytes that a Huffman text of so many bytes can stand for: no code has fewer than 5 bits. */
export function decodedBytesMax(bytes: number): number {
  return Math.ceil((bytes * 8) / 5);
}

/** Decodes into `target`, which has room by `decodedBytesMax`; gives the length, or -1 if it is no Huffman text. */
export function huffmanDecode(source: Buffer, start: number, end: number, target: Buffer): number {
  let length = 0;
  let state = ROOT;
  // A byte is written whether it is complete or not, and kept by moving on: cheaper than a branch that no processor
  // can foretell.
  for (let at = start; at < end; at++) {
    const byte = source[at]!;
    const high = steps[state | (byte >> 4)]!;
    target[length] = high >> BYTE_SHIFT;
    length += high >> DONE_SHIFT;
    const low = steps[(high & STATE) | (byte & 15)]!;
    target[length] = low >> BYTE_SHIFT;
    length += low >> DONE_SHIFT;
    state = low & STATE;
  }
  return mayEnd[state >> 4] === 1 ? length : -1;
}
