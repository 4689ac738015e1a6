// MemoryPolicy.swift: how the C library's allocator gives memory back.
// Belongs here: its two settings, and what they cost. Never here: bounds of what is allocated.
// Source: mallopt(3). Left alone, the allocator takes the first large message it frees as a sign that such
// messages belong on its heaps; under a storm of values of 1 MiB those grew to four times of what was in use.

internal import CMalloc

enum MemoryPolicy {
    /// Blocks from this size on are mapped, and given back when they are freed; they cost a few dozen
    /// microseconds more, a hundredth of what is done with so many bytes.
    private static let mappedBytesMin: Int32 = 1 << 20
    /// Free bytes at the end of a heap that are kept.
    private static let keptBytesMax: Int32 = 64 << 20

    /// Called once, before the first thread is made.
    static func set() {
        mallopt(M_MMAP_THRESHOLD, mappedBytesMin)
        mallopt(M_TRIM_THRESHOLD, keptBytesMax)
    }
}
