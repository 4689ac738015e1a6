// LogSink.swift: the open outputs of the log. Belongs here: one lock, one write call per line and
// output. Never here: what a line says (LogLine.swift). A line that cannot be written is counted
// and dropped: a full disk or a closed pipe must not stop the server.

import Glibc
import Synchronization

/// Where log lines go.
final class LogSink: Sendable {
    private struct Outputs {
        var descriptors: [Int32]
        var owned: [Int32]
    }

    private let outputs: Mutex<Outputs>
    private let dropped = Atomic<UInt64>(0)

    /// Opens all outputs; files are appended to and made with mode 0600.
    init(_ places: [LogOutput]) throws(ConfigurationError) {
        var opened = Outputs(descriptors: [], owned: [])
        for place in places {
            switch place {
            case .standardError: opened.descriptors.append(STDERR_FILENO)
            case .standardOutput: opened.descriptors.append(STDOUT_FILENO)
            case .file(let path):
                let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
                guard descriptor >= 0 else {
                    let problem = String(cString: strerror(errno))
                    for descriptor in opened.owned { close(descriptor) }
                    throw .conflict(text: "--log-outputs: \(path): \(problem)")
                }
                opened.descriptors.append(descriptor)
                opened.owned.append(descriptor)
            }
        }
        outputs = Mutex(opened)
    }

    deinit {
        outputs.withLock { outputs in
            for descriptor in outputs.owned { close(descriptor) }
            outputs.owned = []
            outputs.descriptors = []
        }
    }

    /// Lines that an output did not take.
    var droppedLines: UInt64 { dropped.load(ordering: .relaxed) }

    /// Writes one line to every output.
    func write(_ line: [UInt8]) {
        outputs.withLock { outputs in
            for descriptor in outputs.descriptors {
                guard Self.writeAll(line, to: descriptor) else {
                    dropped.add(1, ordering: .relaxed)
                    continue
                }
            }
        }
    }

    private static func writeAll(_ line: [UInt8], to descriptor: Int32) -> Bool {
        var rest = line[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
