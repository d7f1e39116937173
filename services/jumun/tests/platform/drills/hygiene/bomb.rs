//! A gzip file of a few kilobytes that becomes very large: zeros, as DEFLATE repeats them.

/// The number of bytes in the longest repetition of DEFLATE.
const REPEATED: usize = 258;
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Bits, the first lowest.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn push(&mut self, bits: &[u8]) {
        for bit in bits {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= bit << (self.count % 8);
            self.count += 1;
        }
    }
}

/// A file that becomes at least this number of bytes when unpacked. Its checksum is wrong, but that is read last.
pub(super) fn bomb(unpacked: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    // The last block, with the fixed codes; then one zero, and repetitions of it.
    bits.push(&[1, 1, 0]);
    bits.push(&[0, 0, 1, 1, 0, 0, 0, 0]);
    for _ in 0..unpacked.div_ceil(REPEATED) {
        // Length 258, distance 1.
        bits.push(&[1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
    }
    bits.push(&[0; 7]);
    [&HEADER[..], &bits.bytes, &[0; 8]].concat()
}
