// Frame.swift: a page buffer with its place among the versions of the page, and the pool such
// buffers live in.
// Belongs here: layout, allocation. Never here: which version a reader sees (PageStore+Read.swift).
// Buffers are reused last in, first out: the first touch of fresh memory costs microseconds a page.

internal import Synchronization

/// What stands in front of a page's bytes.
struct FrameHeader: ~Copyable {
    /// The next older version of the page; readers follow it without a lock.
    let older = Atomic<UnsafeMutableRawPointer?>(nil)
    /// The log index that wrote these bytes; `Frame.unsealed` until it is known.
    let index = Atomic<UInt64>(0)
    /// Hash of the bytes, once sealed or verified.
    var hash: UInt64 = 0
    /// Guarded by the gate: the epoch in which it was unlinked.
    var retiredEpoch: UInt64 = 0
    /// Guarded by the gate: the next in the free list or in the queue of the retired.
    var next: UnsafeMutableRawPointer?
    /// The page, counting from 1.
    var page: UInt32 = 0
    /// Guarded by the gate: the place in the cache's ring.
    var ringPosition: Int32 = -1
    /// 1 if used since the clock's hand last passed.
    let referenced = Atomic<UInt32>(0)
    /// Guarded by the gate: the database file holds these bytes, or a checkpoint is writing them.
    var isInBase = false
}

/// A reference to a buffer: `FrameHeader`, the bytes of the page, and padding.
///
/// SQLite may read a little past the end of a corrupt page; the padding is for that (trap 6).
struct Frame: Equatable {
    static let unsealed = UInt64.max
    static let headerBytes = 64
    static let strideBytes = headerBytes + PageLimits.pageBytes + 64

    let raw: UnsafeMutableRawPointer

    @inline(__always)
    init(_ raw: UnsafeMutableRawPointer) { self.raw = raw }

    @inline(__always)
    var header: UnsafeMutablePointer<FrameHeader> { raw.assumingMemoryBound(to: FrameHeader.self) }

    @inline(__always)
    var bytes: UnsafeMutableRawPointer { raw + Frame.headerBytes }

    @inline(__always)
    var index: UInt64 { header.pointee.index.load(ordering: .acquiring) }

    @inline(__always)
    var older: Frame? {
        guard let raw = header.pointee.older.load(ordering: .acquiring) else { return nil }
        return Frame(raw)
    }

    /// Marks it as used for the cache's clock, without writing when it already is.
    @inline(__always)
    func touch() {
        if header.pointee.referenced.load(ordering: .relaxed) == 0 {
            header.pointee.referenced.store(1, ordering: .relaxed)
        }
    }
}

/// All page buffers of a store; its owner's gate guards it.
struct FramePool: ~Copyable {
    private var slabs: [UnsafeMutableRawPointer] = []
    private var free: UnsafeMutableRawPointer?

    /// Bytes taken from the system.
    var allocatedBytes: Int { slabs.count * PageLimits.slabFrames * Frame.strideBytes }

    deinit {
        for slab in slabs { slab.deallocate() }
    }

    /// A buffer with undefined bytes.
    mutating func take(page: UInt32, index: UInt64) -> Frame {
        if free == nil { grow() }
        guard let raw = free else { preconditionFailure("an empty slab") }
        let frame = Frame(raw)
        free = frame.header.pointee.next
        frame.header.pointee.older.store(nil, ordering: .relaxed)
        frame.header.pointee.index.store(index, ordering: .relaxed)
        frame.header.pointee.referenced.store(1, ordering: .relaxed)
        frame.header.pointee.page = page
        frame.header.pointee.ringPosition = -1
        frame.header.pointee.isInBase = false
        return frame
    }

    /// Takes a buffer back that no thread can reach.
    mutating func give(_ frame: Frame) {
        frame.header.pointee.next = free
        free = frame.raw
    }

    private mutating func grow() {
        precondition(MemoryLayout<FrameHeader>.size <= Frame.headerBytes)
        let slab = UnsafeMutableRawPointer.allocate(
            byteCount: PageLimits.slabFrames * Frame.strideBytes, alignment: 64)
        slabs.append(slab)
        for position in (0..<PageLimits.slabFrames).reversed() {
            let frame = Frame(slab + position * Frame.strideBytes)
            frame.header.initialize(to: FrameHeader())
            (frame.bytes + PageLimits.pageBytes).initializeMemory(
                as: UInt8.self, repeating: 0, count: 64)
            give(frame)
        }
    }
}
