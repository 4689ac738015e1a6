// Process.swift: the life of the process: settings, signals, exit statuses.
// Belongs here: what `main` does. Never here: the node's parts (ServerNode.swift).
// Source: etcd's flags: unknown flags and bad values end with status 2, --version with 0.

internal import Glibc
internal import Logging
internal import Storage

/// Runs the process; returns only by ending it.
public func runMartlet() -> Never {
    // A client that hangs up while it is written to is an error of that connection alone.
    signal(SIGPIPE, SIG_IGN)
    let outcome: Configuration.Outcome
    do throws(ConfigurationError) {
        outcome = try Configuration.load(
            arguments: Array(CommandLine.arguments.dropFirst()), environment: environment())
    } catch {
        say("martlet: \(error)")
        exit(2)
    }
    switch outcome {
    case .printVersion:
        say(
            "martlet Version: \(Product.version)\netcd Version: \(Product.etcdVersion)",
            to: STDOUT_FILENO)
        exit(0)
    case .printHelp(let text):
        say(text, to: STDOUT_FILENO)
        exit(0)
    case .run(let configuration, let warnings):
        run(configuration, warnings)
    }
}

private func run(_ configuration: Configuration, _ warnings: [String]) -> Never {
    let signals = StopSignals()
    let sink: LogSink
    do throws(ConfigurationError) {
        sink = try LogSink(configuration.logOutputs)
    } catch {
        say("martlet: \(error)")
        exit(2)
    }
    let logger = configuration.makeLogger(writingTo: sink)
    for warning in warnings { logger.warning("\(warning)") }
    do throws(NodeError) {
        let directory = try ServerNode.open(configuration)
        while true {
            let node = try ServerNode(
                configuration: configuration, directory: directory, logger: logger, sink: sink,
                ended: signals.end)
            try node.start()
            let reason = signals.wait()
            node.stop()
            switch reason {
            case .signal, .node(.removed): exit(0)
            case .node(.failed): exit(1)
            case .node(.reinstall): logger.info("starting anew with the snapshot")
            }
        }
    } catch {
        logger.critical("\(error)")
        exit(1)
    }
}

private func environment() -> [String: String] {
    var result: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
        let text = String(cString: entry)
        if let equals = text.firstIndex(of: "=") {
            result[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        next += 1
    }
    return result
}

private func say(_ text: String, to descriptor: Int32 = STDERR_FILENO) {
    let bytes = Array("\(text)\n".utf8)
    _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
}

/// Waits for the signal to stop, or for the node to end by itself.
private final class StopSignals: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards `ending`.
    enum Reason {
        case signal
        case node(NodeEnd)
    }

    private let monitor = Monitor()
    private var ending: NodeEnd?

    // Signals are blocked in every thread and taken by `wait` alone, so no handler runs anywhere.
    init() {
        var set = Self.set
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    private static var set: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in [SIGTERM, SIGINT, SIGUSR1] { sigaddset(&set, signal) }
        return set
    }

    func wait() -> Reason {
        while true {
            var set = Self.set
            var taken: Int32 = 0
            while sigwait(&set, &taken) != 0 {}
            guard taken == SIGUSR1 else { return .signal }
            monitor.lock()
            let end = ending
            ending = nil
            monitor.unlock()
            // A node may report its end twice; the second report is about nothing any more.
            if let end { return .node(end) }
        }
    }

    /// Ends `wait` from another thread.
    func end(_ reason: NodeEnd) {
        monitor.lock()
        ending = reason
        monitor.unlock()
        kill(getpid(), SIGUSR1)
    }
}
