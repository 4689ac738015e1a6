// AuditTests.swift: lines of the audit log, and what becomes of them.
// Belongs here: what is shown and what never is, the bounds of the buffer, rotation.
// Never here: which calls are written down (Tests/Conformance/test_audit.py).

import Foundation
import Synchronization
import Testing
import Transport

@testable import Server

@Suite struct AuditTests {
    private static func folder() throws -> String {
        let path = NSTemporaryDirectory() + "martlet-audit-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private func subject(_ method: Server.Method, _ request: some WireMessage) -> String {
        text(AuditSubject.fields(of: method, request.encoded()))
    }

    @Test("subject: keys and sizes are shown, values never")
    func subjects() {
        let put = PutRequest(key: "k", value: "secret-value", lease: 7)
        #expect(subject(.put, put) == #""key":"k","value_bytes":12,"lease":7"#)
        let txn = TxnRequest(
            compare: [Compare(key: "k", operand: .value("secret-value"))],
            success: [.put(put), .range(RangeRequest(key: "a", rangeEnd: "b"))],
            failure: [.txn(TxnRequest(success: [.put(put)]))])
        let shown = subject(.txn, txn)
        #expect(!shown.contains("secret"))
        #expect(shown.contains(#""success":[{"op":"put","key":"k","value_bytes":12,"lease":7}"#))
        #expect(shown.contains(#"{"op":"range","key":"a","range_end":"b"}"#))
        #expect(
            subject(.range, RangeRequest(key: "a", rangeEnd: "\0", revision: 5, serializable: true))
                == #""key":"a","range_end":"\u0000","revision":5,"serializable":true"#)
        #expect(AuditSubject.fields(of: .put, [0xff, 0xff]).isEmpty)
    }

    @Test("subject: a transaction of many operations shows some, and says how many there are")
    func manyOperations() {
        let txn = TxnRequest(
            success: (0..<100).map { .put(PutRequest(key: Bytes("k\($0)"))) })
        let shown = subject(.txn, txn)
        #expect(shown.contains(#""k31""#) && !shown.contains(#""k32""#))
        #expect(shown.contains(#""operations":100"#))
    }

    @Test("keys: bytes that are no text are digits, long ones are cut, and none ends a line")
    func keys() {
        #expect(
            subject(.deleteRange, DeleteRangeRequest(key: Bytes([0xff, 0x01])))
                == #""key_hex":"ff01""#)
        let long = subject(
            .deleteRange, DeleteRangeRequest(key: Bytes(String(repeating: "k", count: 5000))))
        #expect(long.utf8.count < 1200 && long.contains(#""key_bytes":5000"#))
        let forged = subject(.put, PutRequest(key: "a\",\"code\":\"OK\"}\n{"))
        #expect(!forged.contains("\n") && forged.contains(#"\"code\""#))
    }

    @Test("record: one line of JSON with its fields in order")
    func record() {
        var record = AuditRecord(rpc: "/etcdserverpb.KV/Put", remote: "127.0.0.1:9")
        record.subject = AuditSubject.fields(of: .put, PutRequest(key: "k").encoded())
        (record.requestBytes, record.responseBytes, record.microseconds) = (3, 30, 120)
        record.code = .ok
        #expect(
            text(record.line(at: LogTimestamp(millisecondsSince1970: 0)))
                == #"{"ts":"1970-01-01T00:00:00.000Z","event":"call","rpc":"/etcdserverpb.KV/Put","#
                + #""remote":"127.0.0.1:9","key":"k","value_bytes":0,"request_bytes":3,"#
                + #""response_bytes":30,"micros":120,"code":"OK"}"# + "\n")
        (record.user, record.certificate, record.error) = ("alice", "client", "no \"such\"")
        let full = text(record.line(at: LogTimestamp(millisecondsSince1970: 0)))
        #expect(full.contains(#""user":"alice","certificate":"client","key""#))
        #expect(full.hasSuffix(#""error":"no \"such\""}"# + "\n"))
    }

    @Test("log: what does not fit is dropped, counted and told")
    func dropped() throws {
        let path = try Self.folder() + "/audit"
        let log = try AuditLog(.file(path: path), rotation: .never) { _ in }
        let line = Array(String(repeating: "x", count: (1 << 20) - 1).utf8) + [10]
        // More than fits at once, as fast as possible: the writer may or may not keep up.
        for _ in 0..<200 { log.write(line) }
        log.stop()
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        let kept = lines.filter { $0.hasPrefix("x") }
        let told = lines.filter { $0.hasPrefix("{") }.compactMap { line in
            line.split(separator: "\"count\":").last.flatMap { UInt64($0.dropLast()) }
        }
        #expect(kept.allSatisfy { $0.utf8.count == (1 << 20) - 1 })
        #expect(UInt64(kept.count) + log.droppedLines == 200)
        #expect(told.reduce(0, +) == log.droppedLines)
    }

    @Test("log: an output that takes nothing costs lines, not the process, and is told once")
    func failing() throws {
        let failures = Mutex<[String]>([])
        let log = try AuditLog(.file(path: "/dev/full"), rotation: .never) { reason in
            failures.withLock { $0.append(reason) }
        }
        for _ in 0..<3 { log.write(Array("line\n".utf8)) }
        log.stop()
        #expect(log.droppedLines == 3)
        #expect(failures.withLock { $0.count } == 1)
    }

    @Test("file: rotation keeps as many old files as it should, and no line is cut")
    func rotation() throws {
        let path = try Self.folder() + "/f"
        let file = try RotatingFile(path, rotation: Rotation(bytesMax: 100, backups: 2))
        for number in 0..<20 {
            #expect(file.write(Array("line \(number) \(String(repeating: "-", count: 20))\n".utf8)))
        }
        let folder = (path as NSString).deletingLastPathComponent
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        #expect(names == ["f", "f.1", "f.2"])
        var numbers: [Int] = []
        for name in ["f.2", "f.1", "f"] {
            let lines = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
                .split(separator: "\n")
            #expect(lines.reduce(0) { $0 + $1.utf8.count + 1 } <= 100)
            numbers += lines.compactMap { Int($0.split(separator: " ")[1]) }
        }
        #expect(numbers == Array((20 - numbers.count)..<20))
    }

    @Test("file: after somebody moved it away, lines go into a new one")
    func reopen() throws {
        let path = try Self.folder() + "/f"
        let file = try RotatingFile(path)
        #expect(file.write(Array("1\n".utf8)))
        try FileManager.default.moveItem(atPath: path, toPath: path + ".old")
        #expect(file.write(Array("2\n".utf8)))
        try file.reopen()
        #expect(file.write(Array("3\n".utf8)))
        #expect(try String(contentsOfFile: path + ".old", encoding: .utf8) == "1\n2\n")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "3\n")
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(mode as? Int == 0o600)
    }

    @Test("slow lines: ten a second, and the next one says how many were left out")
    func rate() {
        var rate = LineRate()
        let admitted = (0..<25).compactMap { _ in rate.admit(at: 5) }
        #expect(admitted == Array(repeating: 0, count: 10))
        #expect(rate.admit(at: 2_000_000_000) == 15)
        #expect(rate.admit(at: 2_000_000_001) == 0)
    }

    @Test("durations are written as etcd's log writes them")
    func durations() {
        #expect(DurationText.text(1_234_567_890) == "1.234567s")
        #expect(DurationText.text(345_678_901) == "345.678ms")
        #expect(DurationText.text(12_005) == "12.005µs")
    }
}
