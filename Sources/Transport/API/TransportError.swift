// TransportError.swift: what can go wrong when listening starts.
// Belongs here: faults of configuration and of the address. Never here: faults of one connection
// (TransportEvent.swift).

/// Why a listener could not be made.
public enum TransportError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The address could not be bound.
    case bind(address: String, reason: String)
    /// A certificate, key or CA file could not be read or parsed.
    case tlsFile(path: String, reason: String)
    /// The private key does not belong to the certificate.
    case keyMismatch(certificateFile: String, keyFile: String)
    /// A TLS setting is wrong or contradicts another.
    case tlsSetting(String)

    /// The event loops do not run.
    case eventLoops(reason: String)

    /// One line for the operator.
    public var description: String {
        switch self {
        case .bind(let address, let reason): "cannot listen on \(address): \(reason)"
        case .tlsFile(let path, let reason): "cannot use TLS file \(path): \(reason)"
        case .keyMismatch(let certificateFile, let keyFile):
            "private key \(keyFile) does not belong to certificate \(certificateFile)"
        case .tlsSetting(let text): text
        case .eventLoops(let reason): "the event loops do not run: \(reason)"
        }
    }
}
