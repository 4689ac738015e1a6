// TLSContextSource.swift: the context for new connections, made again when its files change.
// Belongs here: noticing changed files. Never here: what is in them (TLSContext.swift).
// etcd reads its certificates anew for each handshake, so operators replace them under a running
// server; authorities and revocation lists, which etcd reads once, follow here too.

import Synchronization

final class TLSContextSource: Sendable {
    private struct State {
        var context: TLSContext
        var stamps: [FileStamp]
        var checkedNanoseconds: Int64
    }

    private let configuration: TLSConfiguration
    private let purpose: TLSPurpose
    private let report: @Sendable (TransportEvent) -> Void
    private let state: Mutex<State>

    init(
        _ configuration: TLSConfiguration, purpose: TLSPurpose = .clients,
        report: @escaping @Sendable (TransportEvent) -> Void
    ) throws(TransportError) {
        self.configuration = configuration
        self.purpose = purpose
        self.report = report
        let stamps = Self.stamps(configuration)
        let context = try TLSContext(configuration, purpose: purpose)
        state = Mutex(State(context: context, stamps: stamps, checkedNanoseconds: .min))
        for text in context.warnings { report(.certificateWarning(text)) }
    }

    /// Which of the certificates of this context's clients may connect.
    var rules: CertificateRules { CertificateRules(hostnames: configuration.allowedHostnames) }

    /// The context for a connection that begins at `now`; files are looked at no more than once a
    /// second.
    func current(at now: Int64) -> TLSContext {
        state.withLock { state in
            let isChecked = state.checkedNanoseconds != .min
            if isChecked && now - state.checkedNanoseconds < Limits.certificateCheckNanoseconds {
                return state.context
            }
            state.checkedNanoseconds = now
            let stamps = Self.stamps(configuration)
            guard stamps != state.stamps else { return state.context }
            state.stamps = stamps
            do throws(TransportError) {
                state.context = try TLSContext(configuration, purpose: purpose)
                report(.certificatesReloaded(file: configuration.certificateFile))
                for text in state.context.warnings { report(.certificateWarning(text)) }
            } catch {
                report(.certificateReloadFailed(reason: error.description))
            }
            return state.context
        }
    }

    private static func stamps(_ configuration: TLSConfiguration) -> [FileStamp] {
        let paths = [
            configuration.certificateFile, configuration.keyFile, configuration.trustedCAFile,
            configuration.revocationFile,
        ]
        return paths.compactMap { $0 }.map { FileStamp(path: $0) }
    }
}
