// TransportEvent.swift: what Transport reports; the server decides what to log.
// Belongs here: one case per kind of report with its data. Never here: secrets, message contents.

/// Something an operator may want to know about connections.
public enum TransportEvent: Equatable, Sendable, CustomStringConvertible {
    /// A connection was refused because there are as many as are allowed.
    case connectionRefused(peer: String, limit: Int)
    /// A connection sent nothing, or not all it must, in time.
    case connectionTimedOut(peer: String, phase: String)
    /// A TLS handshake failed.
    case handshakeFailed(peer: String, reason: String)
    /// A client spoke plain text on a TLS port.
    case plainTextOnTLS(peer: String)
    /// A client spoke TLS on a plain-text port.
    case tlsOnPlainText(peer: String)
    /// The client broke HTTP/2 or HTTP/1.1.
    case protocolError(peer: String, reason: String)
    /// The client exceeded a rate or keepalive limit and was disconnected.
    case enhanceYourCalm(peer: String, reason: String)
    /// The connection ended with an error of the network.
    case connectionFailed(peer: String, reason: String)
    /// Changed certificate files could not be loaded; the old ones stay in use.
    case certificateReloadFailed(reason: String)
    /// Changed certificate files are in use for new connections.
    case certificatesReloaded(file: String)
    /// Certificate files can be used, but should be looked at.
    case certificateWarning(String)

    /// One line for the log.
    public var description: String {
        switch self {
        case .connectionRefused(let peer, let limit):
            "connection from \(peer) refused: there are \(limit) already"
        case .connectionTimedOut(let peer, let phase): "connection from \(peer) timed out: \(phase)"
        case .handshakeFailed(let peer, let reason): "TLS handshake with \(peer) failed: \(reason)"
        case .plainTextOnTLS(let peer): "\(peer) spoke plain text on a TLS port"
        case .tlsOnPlainText(let peer): "\(peer) spoke TLS on a plain-text port"
        case .protocolError(let peer, let reason): "protocol error from \(peer): \(reason)"
        case .enhanceYourCalm(let peer, let reason): "\(peer) was disconnected: \(reason)"
        case .connectionFailed(let peer, let reason): "connection to \(peer) failed: \(reason)"
        case .certificateReloadFailed(let reason): "changed certificates were not loaded: \(reason)"
        case .certificatesReloaded(let file):
            "changed certificates are in use for new connections: \(file) and what belongs to it"
        case .certificateWarning(let text): text
        }
    }
}
