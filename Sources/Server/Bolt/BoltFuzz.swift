// BoltFuzz.swift: any bytes as a bbolt file: what the fuzzer feeds.
// Belongs here: making files of inputs, the check of what was read. Never here: the driver (Fuzz/).

/// Entry of the fuzzer.
public enum BoltFuzz {
    private static let pageSize = 1024

    /// Reads bytes as a file by themselves, and as the pages behind two good meta pages.
    public static func read(_ input: UnsafeBufferPointer<UInt8>) {
        check(BoltBytes(Array(input)))
        guard input.count > 2 else { return }
        let pages = (input.count - 2 + pageSize - 1) / pageSize
        let root = 2 + (UInt64(input[0]) << 8 | UInt64(input[1])) % UInt64(pages)
        var bytes: [UInt8] = []
        for page in [UInt64(0), 1] {
            BoltPageHeader(id: page, kind: .meta, count: 0, overflow: 0).append(to: &bytes)
            BoltMeta(
                pageSize: UInt32(pageSize), root: root, freelist: BoltFormat.noFreelist,
                highWater: UInt64(2 + pages), transaction: 2 - page
            ).append(to: &bytes)
            bytes += [UInt8](repeating: 0, count: (Int(page) + 1) * pageSize - bytes.count)
        }
        bytes += input[2...]
        bytes += [UInt8](repeating: 0, count: (2 + pages) * pageSize - bytes.count)
        check(BoltBytes(bytes))
    }

    /// Reads a file; what can be read in full must survive being written and read again.
    private static func check(_ file: BoltBytes) {
        do throws(BoltError) {
            let database = try BoltDatabase(file)
            let copy = BoltBytes()
            let writer = BoltWriter(copy)
            var count = 0
            let buckets = try database.buckets()
            while try buckets.next() {
                guard buckets.isBucket else { continue }
                let name = String(decoding: buckets.key, as: UTF8.self)
                let tree = writer.bucket("\(count) \(name)")
                let entries = try buckets.openBucket()
                while try entries.next() {
                    guard !entries.isBucket else { continue }
                    try tree.add(entries.key, entries.value)
                    count += 1
                }
                try tree.finish()
            }
            _ = try writer.finish()
            let again = try BoltDatabase(copy).countEntries()
            precondition(again == count, "\(count) entries were written, \(again) read")
        } catch {
            precondition(!error.description.isEmpty)
        }
    }
}
