// LogSink.swift: the open outputs of the log. Belongs here: one lock, one write call per line and
// output. Never here: what a line says (LogLine.swift). A line that cannot be written is counted
// and dropped: a full disk or a closed pipe must not stop the server.

import Glibc
import Synchronization

/// Where log lines go.
final class LogSink: Sendable {
    private enum Output {
        case descriptor(Int32)
        case file(RotatingFile)

        func write(_ line: [UInt8]) -> Bool {
            switch self {
            case .descriptor(let descriptor): RotatingFile.writeAll(line, to: descriptor)
            case .file(let file): file.write(line)
            }
        }
    }

    private let outputs: Mutex<[Output]>
    private let dropped = Atomic<UInt64>(0)

    /// Opens all outputs; files are appended to and made with mode 0600.
    init(_ places: [LogOutput], rotation: Rotation = .never) throws(ConfigurationError) {
        var opened: [Output] = []
        do throws(FileFailure) {
            for place in places {
                switch place {
                case .standardError: opened.append(.descriptor(STDERR_FILENO))
                case .standardOutput: opened.append(.descriptor(STDOUT_FILENO))
                case .file(let path):
                    opened.append(.file(try RotatingFile(path, rotation: rotation)))
                }
            }
        } catch {
            throw .conflict(text: "--log-outputs: \(error)")
        }
        outputs = Mutex(opened)
    }

    /// Lines that an output did not take.
    var droppedLines: UInt64 { dropped.load(ordering: .relaxed) }

    /// Writes one line to every output.
    func write(_ line: [UInt8]) {
        outputs.withLock { outputs in
            for output in outputs where !output.write(line) {
                dropped.add(1, ordering: .relaxed)
            }
        }
    }

    /// Opens files anew, after they were moved away; the reasons why some could not be.
    func reopen() -> [String] {
        outputs.withLock { outputs in
            outputs.compactMap { output -> String? in
                guard case .file(let file) = output else { return nil }
                do throws(FileFailure) {
                    try file.reopen()
                    return nil
                } catch {
                    return error.description
                }
            }
        }
    }
}
