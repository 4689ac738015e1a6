// BoltPage.swift: the elements of one page, compared with its size before anything is used.
// Belongs here: bounds of one page. Never here: order across pages (BoltCursor.swift).
// Invariant: every range that this hands out lies within the page.

/// A branch or leaf page in memory; valid as long as the memory.
struct BoltPage {
    let bytes: UnsafeRawBufferPointer
    let number: UInt64
    let kind: BoltPageKind
    let count: Int

    /// Checks that the elements' table fits, and that a branch has children.
    init(
        _ bytes: UnsafeRawBufferPointer, number: UInt64, kind: BoltPageKind, count: Int
    ) throws(BoltError) {
        self.bytes = bytes
        self.number = number
        self.kind = kind
        self.count = count
        guard BoltFormat.headerBytes + count * BoltFormat.elementBytes <= bytes.count else {
            throw .damaged(
                page: number, reason: "\(count) elements do not fit into \(bytes.count) bytes")
        }
        guard kind == .leaf || count > 0 else {
            throw .damaged(page: number, reason: "a branch without children")
        }
    }

    private func element(_ position: Int) -> Int {
        precondition(position < count, "element \(position) of \(count)")
        return BoltFormat.headerBytes + position * BoltFormat.elementBytes
    }

    /// Bytes that an element points at; they lie behind the table and before the end.
    private func range(_ position: Int, at offset: UInt32, count bytesCount: UInt64)
        throws(BoltError) -> Range<Int>
    {
        let start = UInt64(element(position)) + UInt64(offset)
        let table = UInt64(BoltFormat.headerBytes + count * BoltFormat.elementBytes)
        guard start >= table, start + bytesCount <= UInt64(bytes.count) else {
            throw .damaged(
                page: number,
                reason:
                    "element \(position) lies at \(start) with \(bytesCount) bytes, the page has "
                    + "\(bytes.count)")
        }
        return Int(start)..<Int(start + bytesCount)
    }

    /// The child and the least key of a branch's element.
    func child(_ position: Int) throws(BoltError) -> (page: UInt64, key: UnsafeRawBufferPointer) {
        let start = element(position)
        let range = try range(
            position, at: bytes.boltInteger(at: start),
            count: UInt64(bytes.boltInteger(at: start + 4, as: UInt32.self)))
        return (
            bytes.boltInteger(at: start + 8), UnsafeRawBufferPointer(rebasing: bytes[range])
        )
    }

    /// A leaf's element.
    func entry(_ position: Int) throws(BoltError) -> BoltEntry {
        let start = element(position)
        let flags = bytes.boltInteger(at: start, as: UInt32.self)
        guard flags == 0 || flags == BoltFormat.bucketFlag else {
            throw .damaged(page: number, reason: "element \(position) has flags \(flags)")
        }
        let keyBytes = bytes.boltInteger(at: start + 8, as: UInt32.self)
        let valueBytes = bytes.boltInteger(at: start + 12, as: UInt32.self)
        let range = try range(
            position, at: bytes.boltInteger(at: start + 4),
            count: UInt64(keyBytes) + UInt64(valueBytes))
        let end = range.lowerBound + Int(keyBytes)
        return BoltEntry(
            key: UnsafeRawBufferPointer(rebasing: bytes[range.lowerBound..<end]),
            value: UnsafeRawBufferPointer(rebasing: bytes[end..<range.upperBound]),
            isBucket: flags == BoltFormat.bucketFlag)
    }
}

/// A key with its value, or with the bucket that hangs on it; valid as long as its page.
struct BoltEntry {
    let key: UnsafeRawBufferPointer
    let value: UnsafeRawBufferPointer
    let isBucket: Bool
}
