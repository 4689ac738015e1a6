// HistoryWriterTests.swift: a history that is copied is the same as one that was made.
// Belongs here: HistoryWriter and the revision floor. Never here: what is copied (ServerTests).

import Storage
import Testing

@Suite struct HistoryWriterTests {
    private static func rows(_ connection: Connection) throws -> [String] {
        var rows: [String] = []
        for table in ["log", "cur"] {
            let statement = try connection.prepare(
                table == "log"
                    ? "SELECT rev, hex(key), prev, crev, ver, lease, quote(val) FROM log ORDER BY rev"
                    : "SELECT hex(key), rev, crev, ver, lease, 0, 0 FROM cur ORDER BY key")
            while try statement.step() {
                rows.append((0..<7).map { statement.text(Int32($0)) }.joined(separator: "|"))
            }
        }
        return rows
    }

    @Test("history: copied change by change, both tables have the same rows")
    func copied() throws {
        let origin = try MVCCStore()
        for number in 0..<500 {
            let key = Array("k\((number * 7) % 31)".utf8)
            if number % 5 == 4 {
                try origin.delete(key)
            } else {
                try origin.put(key, Array("v\(number)".utf8), lease: Int64(number % 3))
                if number % 10 == 0 { try origin.put(Array("more".utf8), []) }
            }
            origin.writer.finishRequest()
        }
        let copy = try Connection(path: ":memory:")
        try Schema.create(on: copy)
        let writer = try HistoryWriter(connection: copy)
        let cursor = try ChangeCursor(reader: origin.reader, from: PackedRevision(main: 0))
        while try cursor.next() {
            if cursor.record.isLive {
                try writer.put(cursor.key, cursor.record, value: cursor.value)
            } else {
                try writer.delete(cursor.key, at: cursor.revision)
            }
        }
        #expect(try Self.rows(copy) == Self.rows(origin.connection))
        #expect(writer.last.main == origin.writer.revision)
        #expect(try KeyWriter(connection: copy).revision == origin.writer.revision)
    }

    @Test("revision: a floor counts as long as no change is newer")
    func floor() throws {
        let store = try MVCCStore()
        #expect(try store.reader.currentRevision() == 1)
        let meta = try MetaTable(connection: store.connection)
        try meta.set(.revisionFloor, to: 100)
        #expect(try store.reader.currentRevision() == 100)
        let writer = try KeyWriter(connection: store.connection)
        #expect(writer.nextRevision == 101)
        try [UInt8(1)].withBytes { (key) throws(StorageError) in
            _ = try writer.put(key, value: key, lease: 0)
        }
        writer.finishRequest()
        #expect(try store.reader.currentRevision() == 101)
        try meta.set(.revisionFloor, to: 50)
        #expect(try store.reader.currentRevision() == 101)
    }
}
