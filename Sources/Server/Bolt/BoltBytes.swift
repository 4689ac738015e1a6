// BoltBytes.swift: bbolt files in memory, and a look at all of one: for tests and the fuzzer.
// Belongs here: memory as source and sink. Never here: files (Offline/InputFile.swift).

/// A file in memory.
public final class BoltBytes: BoltSource, BoltSink {
    /// Its content.
    public private(set) var bytes: [UInt8]

    /// A file with this content.
    public init(_ bytes: [UInt8] = []) {
        self.bytes = bytes
    }

    /// The length.
    public var byteCount: UInt64 { UInt64(bytes.count) }

    /// Copies a part.
    public func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(BoltError) {
        guard offset + UInt64(buffer.count) <= byteCount else {
            throw .unreadable(reason: "\(offset) with \(buffer.count) bytes of \(byteCount)")
        }
        bytes.withUnsafeBytes {
            buffer.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)...].prefix(buffer.count)))
        }
    }

    /// Writes a part, growing as need be.
    public func write(_ part: [UInt8], at offset: UInt64) throws(BoltError) {
        let end = Int(offset) + part.count
        if end > bytes.count { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
        bytes.replaceSubrange(Int(offset)..<end, with: part)
    }
}

extension Array<UInt8> {
    /// Lends the bytes to `body`, which may throw the reader's errors.
    func withBoltBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withUnsafeBufferPointer { (bytes) throws(Failure) in
            try body(UnsafeRawBufferPointer(bytes))
        }
    }
}

extension BoltDatabase {
    /// Reads every entry of every bucket, two levels deep as etcd has them, and counts them.
    public func countEntries() throws(BoltError) -> Int {
        var count = 0
        let buckets = try buckets()
        while try buckets.next() {
            guard buckets.isBucket else {
                throw .damaged(page: buckets.pageNumber, reason: "a key outside of any bucket")
            }
            let entries = try buckets.openBucket()
            while try entries.next() { count += 1 }
        }
        return count
    }
}
