// WALWriterTests.swift: the log's threads: that they save, group, report, and end.
// Belongs here: what only threads can show. Elsewhere: everything that flush() shows without one.

import Glibc
import Storage
import TestSupport
import Testing

/// Collects reports, and lets a test wait for one; nothing here looks at a clock.
final class WALReports: @unchecked Sendable {
    // @unchecked Sendable: `seen` is guarded by `monitor`.
    private let monitor = Monitor()
    private let arrived = MonitorCondition()
    private var seen: [LogWriter.Report] = []

    func add(_ report: LogWriter.Report) {
        monitor.lock()
        defer { monitor.unlock() }
        seen.append(report)
        arrived.signal()
    }

    func wait(until isEnough: ([LogWriter.Report]) -> Bool) -> [LogWriter.Report] {
        monitor.lock()
        defer { monitor.unlock() }
        while !isEnough(seen) { arrived.wait(monitor) }
        return seen
    }

    static func tickets(_ reports: [LogWriter.Report]) -> [LogTicket] {
        reports.compactMap { if case .saved(let ticket) = $0 { ticket } else { nil } }
    }
}

@Suite("log: threads")
struct WALWriterTests {
    @Test("every ticket is reported in order, in fewer groups than calls when they come fast")
    func savesInOrder() throws {
        let disk = FaultyDisk()
        let (store, _) = try LogStore.open(disk: disk, directory: "wal", options: WALRun.options)
        let reports = WALReports()
        let writer = LogWriter(store: store) { reports.add($0) }
        var last = LogTicket(0)
        for index in UInt64(1)...500 {
            last = try store.append([WALRun.entry(index, term: 1, bytes: 50)])
        }
        let seen = reports.wait { WALReports.tickets($0).last == last }
        writer.stop()
        let tickets = WALReports.tickets(seen)
        #expect(tickets == tickets.sorted())
        #expect(Set(tickets).count == tickets.count)
        #expect(try WALFound(disk.afterCrash(.nothing)).recovered.lastIndex == 500)
    }

    @Test("stopping saves what is queued first")
    func stopDrains() throws {
        let disk = FaultyDisk()
        let (store, _) = try LogStore.open(disk: disk, directory: "wal", options: WALRun.options)
        let reports = WALReports()
        let writer = LogWriter(store: store) { reports.add($0) }
        for index in UInt64(1)...100 {
            _ = try store.append([WALRun.entry(index, term: 1, bytes: 500)])
        }
        writer.stop()
        // The seal has the ticket after the last, and is not reported.
        #expect(store.savedThrough == LogTicket(101))
        #expect(WALReports.tickets(reports.wait { _ in true }).last == LogTicket(100))
        #expect(try WALFound(disk.afterCrash(.nothing)).recovered.lastIndex == 100)
    }

    @Test("a failed sync is reported once, last, and no later ticket is")
    func failureIsReported() throws {
        let disk = FaultyDisk()
        let (store, _) = try LogStore.open(disk: disk, directory: "wal", options: WALRun.options)
        _ = try store.append([WALRun.entry(1, term: 1, bytes: 50)])
        _ = try store.flush()
        try store.housekeep()
        let reports = WALReports()
        let writer = LogWriter(store: store) { reports.add($0) }
        disk.inject(.ioError, onNext: .sync)
        _ = try store.append([WALRun.entry(2, term: 1, bytes: 50)])
        let seen = reports.wait { !$0.isEmpty }
        writer.stop()
        #expect(reports.wait { _ in true } == seen)
        let path = "wal/0000000000000001.wal"
        let failure = DiskError.failed(path: path, operation: "sync", code: EIO)
        #expect(seen == [.failed(.disk(failure))])
        #expect(throws: StorageError.self) { try store.append([], hardState: LogHardState()) }
        #expect(store.savedThrough == LogTicket(1))
    }

    @Test("a full disk is reported, and after a retry with space the work is saved")
    func fullThenSpace() throws {
        let disk = FaultyDisk()
        disk.setCapacity(8192 + 100)
        let (store, _) = try LogStore.open(disk: disk, directory: "wal", options: WALRun.options)
        _ = try store.append([WALRun.entry(1, term: 1, bytes: 2000)])
        let reports = WALReports()
        // Queued before the threads start, so that the first flush has to roll over into no space.
        for index in UInt64(2)...6 {
            _ = try store.append([WALRun.entry(index, term: 1, bytes: 2000)])
        }
        let writer = LogWriter(store: store) { reports.add($0) }
        _ = reports.wait { $0.contains(.full(.full(path: "wal"))) }
        disk.setCapacity(1 << 20)
        store.retry()
        let seen = reports.wait { WALReports.tickets($0).last == LogTicket(6) }
        writer.stop()
        #expect(seen.first != .failed(.disk(.full(path: "wal"))))
        #expect(try WALFound(disk.afterCrash(.nothing)).recovered.lastIndex == 6)
    }

    @Test("segments are prepared and given back beside the writing")
    func housekeepingRuns() throws {
        let disk = FaultyDisk()
        let (store, _) = try LogStore.open(disk: disk, directory: "wal", options: WALRun.options)
        let reports = WALReports()
        let writer = LogWriter(store: store) { reports.add($0) }
        for index in UInt64(1)...200 {
            let ticket = try store.append([WALRun.entry(index, term: 1, bytes: 1500)])
            _ = reports.wait { WALReports.tickets($0).last == ticket }
            store.release(through: index)
        }
        writer.stop()
        try store.housekeep()
        #expect(try disk.list("wal").count <= 5)
        let found = try WALFound(disk.afterCrash(.nothing))
        #expect(found.recovered.lastIndex == 200)
        #expect(found.recovered.firstIndex > 180)
    }
}
