// AuditLog.swift: lines on their way to the audit log, on a thread of their own.
// Belongs here: the bounded buffer, the count of what did not fit, the thread. Never here: what a line
// says (AuditRecord.swift), files (RotatingFile.swift).
// A slow disk must not slow clients: a line that does not fit is dropped and counted, and the next line
// that is written after it says how many are missing.

internal import Glibc
internal import Storage
internal import Synchronization

/// Where the audit log goes.
enum AuditOutput: Hashable, Sendable {
    case standardError
    case standardOutput
    case file(path: String)
}

/// The audit log of the process; any thread may write.
final class AuditLog: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards `waiting`, `missing`, `isStopping` and `wantsReopen`; `file`
    // belongs to the thread once it runs; `thread` to the owner.
    /// Lines that wait, in bytes; at some 300 bytes a line these are 30,000.
    static let waitingBytesMax = 8 << 20

    private let monitor = Monitor()
    private let arrived = MonitorCondition()
    private var waiting: [UInt8] = []
    private var missing: UInt64 = 0
    private var isStopping = false
    private var wantsReopen = false
    private let dropped = Atomic<UInt64>(0)
    private let descriptor: Int32
    private let file: RotatingFile?
    private let failed: @Sendable (String) -> Void
    private var thread: SystemThread?

    /// Opens the output and starts the thread.
    ///
    /// - Parameter failed: told, on the thread, why lines are lost; once until it works again.
    init(
        _ output: AuditOutput, rotation: Rotation, failed: @escaping @Sendable (String) -> Void
    ) throws(FileFailure) {
        self.failed = failed
        switch output {
        case .standardError: (descriptor, file) = (STDERR_FILENO, nil)
        case .standardOutput: (descriptor, file) = (STDOUT_FILENO, nil)
        case .file(let path): (descriptor, file) = (-1, try RotatingFile(path, rotation: rotation))
        }
        thread = SystemThread { [self] in run() }
    }

    /// Lines that did not reach the output since the start.
    var droppedLines: UInt64 { dropped.load(ordering: .relaxed) }

    /// Hands over a line, which ends with a newline.
    func write(_ line: [UInt8]) {
        monitor.lock()
        let isFirst = waiting.isEmpty
        let fits = waiting.count + line.count <= Self.waitingBytesMax
        if fits {
            waiting += line
        } else {
            missing += 1
        }
        monitor.unlock()
        if !fits { dropped.wrappingAdd(1, ordering: .relaxed) }
        if isFirst { arrived.signal() }
    }

    /// Opens the file anew, after it was moved away.
    func reopen() {
        monitor.lock()
        wantsReopen = true
        monitor.unlock()
        arrived.signal()
    }

    /// Writes what waits and ends the thread.
    func stop() {
        monitor.lock()
        isStopping = true
        monitor.unlock()
        arrived.signal()
        thread?.join()
        thread = nil
    }

    private func run() {
        var lines: [UInt8] = []
        var isFailing = false
        while true {
            lines.removeAll(keepingCapacity: lines.capacity <= 1 << 20)
            monitor.lock()
            while waiting.isEmpty, missing == 0, !wantsReopen, !isStopping {
                arrived.wait(monitor)
            }
            swap(&lines, &waiting)
            let lost = missing
            missing = 0
            let reopens = wantsReopen
            wantsReopen = false
            let isLast = isStopping
            monitor.unlock()
            if reopens { reopenFile() }
            isFailing = !output(lines, lost: lost, wasFailing: isFailing)
            if isLast { return }
        }
    }

    private func reopenFile() {
        do throws(FileFailure) {
            try file?.reopen()
        } catch {
            failed("the audit log cannot be opened anew, and goes on in the old file: \(error)")
        }
    }

    /// Writes lines; false if they are lost.
    private func output(_ lines: [UInt8], lost: UInt64, wasFailing: Bool) -> Bool {
        var isWritten = true
        // Whole lines, so that a file ends with one.
        var start = 0
        while start < lines.count {
            let limit = min(lines.count, start + Self.pieceBytes)
            let end =
                limit == lines.count
                ? limit : (lines[limit...].firstIndex(of: UInt8(ascii: "\n")) ?? limit) + 1
            isWritten = put(Array(lines[start..<end])) && isWritten
            if !isWritten {
                let count = lines[start..<end].reduce(0) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
                dropped.wrappingAdd(UInt64(count), ordering: .relaxed)
            }
            start = end
        }
        if lost > 0 { isWritten = put(AuditRecord.missing(lost)) && isWritten }
        if !isWritten, !wasFailing {
            failed("the audit log cannot be written: \(String(cString: strerror(errno)))")
        }
        return isWritten
    }

    private static let pieceBytes = 256 << 10

    private func put(_ bytes: [UInt8]) -> Bool {
        file?.write(bytes) ?? RotatingFile.writeAll(bytes, to: descriptor)
    }
}
