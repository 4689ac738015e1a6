// PageTable.swift: for each page the newest version, the cached image of the file, and what the
// file holds.
// Belongs here: a table that grows while readers look things up without a lock. Never here: page
// contents.
// Two levels: a directory that never moves, and blocks of slots that never go away. 40 bytes a
// page.

internal import Synchronization

/// What is known of one page.
struct PageSlot: ~Copyable {
    /// The newest version in memory; versions are linked newest first.
    ///
    /// Nil: the file's image is all there is.
    let head = Atomic<UnsafeMutableRawPointer?>(nil)
    /// The cached image of the file, if any.
    ///
    /// Changes only under the gate.
    let clean = Atomic<UnsafeMutableRawPointer?>(nil)
    /// The index that wrote the file's image.
    ///
    /// It only grows: a change tells a slow reader that it is late.
    let baseIndex = Atomic<UInt64>(0)
    /// The hash of the file's image.
    ///
    /// Changes only under the gate.
    let baseHash = Atomic<UInt64>(0)
    /// Guarded by the gate: listed among the pages that the next checkpoint writes.
    var isDirty = false
    /// Guarded by the gate: a torn checkpoint may have left the file's image in pieces until redo
    /// has passed it.
    var isSuspect = false

    @inline(__always)
    var newest: Frame? {
        guard let raw = head.load(ordering: .acquiring) else { return nil }
        return Frame(raw)
    }

    /// The newest version that a reader of `index` may see, if it is in memory.
    @inline(__always)
    func version(at index: UInt64) -> Frame? {
        var next = head.load(ordering: .acquiring)
        while let raw = next {
            let frame = Frame(raw)
            if frame.index <= index { return frame }
            next = frame.header.pointee.older.load(ordering: .acquiring)
        }
        return nil
    }
}

/// The slots of all pages.
struct PageTable: ~Copyable {
    private static let blockShift: UInt32 = 12
    private static let blockSlots = 1 << 12
    private static let directorySlots = PageLimits.pagesMax >> 12

    private let directory: UnsafeMutablePointer<Atomic<UnsafeMutableRawPointer?>>

    init() {
        // Half a megabyte, so that blocks never have to move under a reader.
        directory = .allocate(capacity: Self.directorySlots + 1)
        for position in 0...Self.directorySlots {
            (directory + position).initialize(to: Atomic(nil))
        }
    }

    deinit {
        for position in 0...Self.directorySlots {
            directory[position].load(ordering: .relaxed)?.deallocate()
        }
        directory.deallocate()
    }

    /// The slot of a page that `reserve` was called for; pages count from 1.
    @inline(__always)
    subscript(page: UInt32) -> UnsafeMutablePointer<PageSlot> {
        let block = directory[Int(page >> Self.blockShift)].load(ordering: .acquiring)
        guard let block else { preconditionFailure("page \(page) has no slot") }
        return block.assumingMemoryBound(to: PageSlot.self)
            + Int(page & UInt32(Self.blockSlots - 1))
    }

    /// Makes slots for all pages up to `page`.
    ///
    /// Called under the gate.
    func reserve(through page: UInt32) {
        precondition(Int(page) <= PageLimits.pagesMax, "page \(page) is past the limit")
        var position = Int(page >> Self.blockShift)
        while directory[position].load(ordering: .relaxed) == nil {
            let block = UnsafeMutablePointer<PageSlot>.allocate(capacity: Self.blockSlots)
            for slot in 0..<Self.blockSlots { (block + slot).initialize(to: PageSlot()) }
            directory[position].store(UnsafeMutableRawPointer(block), ordering: .releasing)
            if position == 0 { break }
            position -= 1
        }
    }
}
