// PageHash.swift: 64 bits that stand for the bytes of a page and its place.
// Belongs here: one function of plain bytes. Never here: where hashes are kept.
// Each step is a bijection of the lane for a fixed word and of the word for a fixed lane: an error
// within one aligned word is always found, any other is missed once in 2^64. Not cryptographic.

enum PageHash {
    private static let factor: UInt64 = 0xD6E8_FEB8_6659_FD93
    private static let seeds: (UInt64, UInt64, UInt64, UInt64) = (
        0x8A5C_D789_635D_2DFF, 0x1216_55D2_F0B1_4E3B, 0xC4CE_B9FE_1A85_EC53, 0x2545_F491_4F6C_DD1D
    )

    @inline(__always)
    private static func step(_ lane: UInt64, _ word: UInt64) -> UInt64 {
        let product = (lane ^ word) &* factor
        return product << 29 | product >> 35
    }

    @inline(__always)
    private static func word(_ bytes: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: bytes.load(fromByteOffset: offset, as: UInt64.self))
    }

    /// The hash of page `page` with the given content, `PageLimits.pageBytes` aligned to 8.
    ///
    /// The page number takes part, so that two exchanged pages change the hash of the database.
    static func hash(page: UInt32, _ bytes: UnsafeRawPointer) -> UInt64 {
        let place = UInt64(page) &* 0x9E37_79B9_7F4A_7C15
        var a = seeds.0 ^ place
        var b = seeds.1 ^ place
        var c = seeds.2 ^ place
        var d = seeds.3 ^ place
        var e = ~a
        var f = ~b
        var g = ~c
        var h = ~d
        var offset = 0
        while offset < PageLimits.pageBytes {
            a = step(a, word(bytes, offset))
            b = step(b, word(bytes, offset + 8))
            c = step(c, word(bytes, offset + 16))
            d = step(d, word(bytes, offset + 24))
            e = step(e, word(bytes, offset + 32))
            f = step(f, word(bytes, offset + 40))
            g = step(g, word(bytes, offset + 48))
            h = step(h, word(bytes, offset + 56))
            offset += 64
        }
        return finish(finish(finish(finish(a, b), finish(c, d)), finish(e, f)), finish(g, h))
    }

    @inline(__always)
    private static func finish(_ x: UInt64, _ y: UInt64) -> UInt64 {
        var sum = (x ^ (y << 32 | y >> 32)) &* factor
        sum ^= sum >> 29
        sum = sum &* seeds.3
        return sum ^ (sum >> 32)
    }
}
