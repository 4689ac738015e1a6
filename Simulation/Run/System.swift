// System.swift: files, the wall clock, and the last words of a run that traps.
// Belongs here: all that the simulator asks of the real machine. Never here: anything a world could see.

import Glibc

/// The machine that the simulator itself runs on.
enum System {
    /// Seconds of a clock that nobody sets.
    static var seconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Seconds of one core that this process has used.
    static var coreSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The most memory that this process ever held; 0 where the system does not tell.
    static var peakMegabytes: Int {
        var usage = rusage()
        return getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0
            ? Int(usage.ru_maxrss) / 1024 : 0
    }

    /// A number that differs from run to run.
    static var freshSeed: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) % 1_000_000 * 1000
    }

    static func say(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

    static func complain(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }

    /// The text of a file; nil if it can't be read.
    static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes a file; false if that fails.
    static func write(_ text: String, toFile path: String) -> Bool {
        guard let file = fopen(path, "w") else { return false }
        let bytes = Array(text.utf8)
        let written = bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
        return fclose(file) == 0 && written == bytes.count
    }

    /// The names of a directory that end so, in order.
    static func list(_ directory: String, ending: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(ending) { names.append(name) }
        }
        return names.sorted()
    }

    /// Runs this program with other arguments, its output going to a file; false if it can't be run.
    static func runSelf(_ arguments: [String], output: String) -> Bool {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(
            &actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        let program = "/proc/self/exe"
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        defer { words.forEach { free($0) } }
        words.append(nil)
        var child: pid_t = 0
        guard posix_spawn(&child, program, &actions, nil, words, environ) == 0 else { return false }
        var status: Int32 = 0
        return waitpid(child, &status, 0) == child
    }

    // MARK: last words

    /// Says this, before the process ends, should a precondition of the code under test trap.
    static func onTrap(say text: String) {
        let bytes = Array((text + "\n").utf8)
        lastWordsCount = min(bytes.count, lastWordsMax)
        lastWords.update(from: bytes, count: lastWordsCount)
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT] {
            signal(number) { number in
                _ = Glibc.write(STDERR_FILENO, lastWords, lastWordsCount)
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }
}

private let lastWordsMax = 4096
// Written before a seed runs, read by the handler: the process has one thread.
nonisolated(unsafe) private let lastWords = UnsafeMutablePointer<UInt8>.allocate(
    capacity: lastWordsMax)
// Written before a seed runs, read by the handler: the process has one thread.
nonisolated(unsafe) private var lastWordsCount = 0
