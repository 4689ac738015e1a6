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
    MemoryPolicy.set()
    runCommand(Array(CommandLine.arguments.dropFirst()))
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

/// Runs a command that works on files, and ends the process with its status; returns if there is none.
private func runCommand(_ arguments: [String]) {
    do throws(OfflineError) {
        guard let (command, rest) = try Command.named(by: arguments) else { return }
        exit(command.status(rest))
    } catch {
        say("martlet: \(error)")
        exit(error.exitStatus)
    }
}

private func run(_ configuration: Configuration, _ warnings: [String]) -> Never {
    let signals = StopSignals(takesHangup: configuration.writesFiles)
    let sink: LogSink
    do throws(ConfigurationError) {
        sink = try LogSink(
            configuration.logOutputs,
            rotation: configuration.rotatesLogs ? configuration.logRotation : .never)
    } catch {
        say("martlet: \(error)")
        exit(2)
    }
    let logger = configuration.makeLogger(writingTo: sink)
    for warning in warnings { logger.warning("\(warning)") }
    let audit = openAudit(configuration, logger)
    signals.hungUp = {
        for reason in sink.reopen() {
            logger.error("a log file cannot be opened anew", metadata: ["error": "\(reason)"])
        }
        audit?.reopen()
        logger.info("opened the log files anew")
    }
    do throws(NodeError) {
        let directory = try ServerNode.open(configuration)
        var configuration = configuration
        try configuration.makeCertificates(in: directory, logger: logger)
        while true {
            let node = try ServerNode(
                configuration: configuration, directory: directory, logger: logger, sink: sink,
                audit: audit, ended: signals.end)
            try node.start()
            let reason = signals.wait()
            if !reason.isAnotherStart { ServiceManager.tell(.stopping) }
            node.stop()
            switch reason {
            case .signal, .node(.removed): end(0, audit)
            case .node(.failed): end(1, audit)
            case .node(.reinstall): logger.info("starting anew with the snapshot")
            }
        }
    } catch {
        logger.critical("\(error)")
        end(1, audit)
    }
}

private func openAudit(_ configuration: Configuration, _ logger: Logger) -> AuditLog? {
    guard let output = configuration.auditOutput else { return nil }
    do throws(FileFailure) {
        return try AuditLog(output, rotation: configuration.auditRotation) { reason in
            logger.error("\(reason)")
        }
    } catch {
        say("martlet: --martlet-audit-log: \(error)")
        exit(2)
    }
}

private func end(_ status: Int32, _ audit: AuditLog?) -> Never {
    audit?.stop()
    exit(status)
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
    // @unchecked Sendable: `monitor` guards `ending`; `hungUp` is set once, before anybody waits.
    enum Reason {
        case signal
        case node(NodeEnd)

        /// Whether the process goes on with a new node.
        var isAnotherStart: Bool {
            if case .node(.reinstall) = self { true } else { false }
        }
    }

    private let monitor = Monitor()
    private var ending: NodeEnd?
    private let set: sigset_t
    /// Called when the process is told to open its files anew.
    var hungUp: () -> Void = {}

    // Signals are blocked in every thread and taken by `wait` alone, so no handler runs anywhere.
    /// - Parameter takesHangup: whether SIGHUP means that files were moved; else it ends the process, as
    ///   when its terminal is closed.
    init(takesHangup: Bool) {
        var set = sigset_t()
        sigemptyset(&set)
        let signals = [SIGTERM, SIGINT, SIGUSR1] + (takesHangup ? [SIGHUP] : [])
        for signal in signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        self.set = set
    }

    func wait() -> Reason {
        while true {
            var set = set
            var taken: Int32 = 0
            while sigwait(&set, &taken) != 0 {}
            if taken == SIGHUP {
                hungUp()
                continue
            }
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
