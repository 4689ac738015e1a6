// crc32c.h: CRC-32C (Castagnoli) with the processor's instruction where it has one.
// Belongs here: what Swift cannot express, a builtin behind a target attribute.
// Source: RFC 3720 appendix B.4 (polynomial 0x1EDC6F41, reflected 0x82F63B78).
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t martlet_crc32c_portable(uint32_t crc, const uint8_t *bytes, size_t count) {
    // Nibble table: 64 bytes, built from the polynomial; slow, and only for machines without SSE 4.2.
    static const uint32_t table[16] = {
        0x00000000u, 0x105ec76fu, 0x20bd8edeu, 0x30e349b1u, 0x417b1dbcu, 0x5125dad3u, 0x61c69362u, 0x7198540du,
        0x82f63b78u, 0x92a8fc17u, 0xa24bb5a6u, 0xb21572c9u, 0xc38d26c4u, 0xd3d3e1abu, 0xe330a81au, 0xf36e6f75u,
    };
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static inline uint32_t
martlet_crc32c_sse42(uint32_t crc, const uint8_t *bytes, size_t count) {
    uint64_t state = crc;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        state = __builtin_ia32_crc32di(state, word);
        bytes += 8;
        count -= 8;
    }
    uint32_t tail = (uint32_t)state;
    while (count-- > 0) { tail = __builtin_ia32_crc32qi(tail, *bytes++); }
    return tail;
}
#endif

/// Continues a CRC-32C over `count` bytes. Start with 0; the result is the finished checksum.
static inline uint32_t martlet_crc32c(uint32_t crc, const void *bytes, size_t count) {
    crc = ~crc;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) { return ~martlet_crc32c_sse42(crc, (const uint8_t *)bytes, count); }
#endif
    return ~martlet_crc32c_portable(crc, (const uint8_t *)bytes, count);
}
