// SystemErrorText.swift: errors of sockets as one plain text.
// Belongs here: what the operating system said, in its words. Never here: what to do about it
// (TransportError.swift, PeerDialer.swift).

import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

enum SystemErrorText {
    /// The system's own words where there are any: NIO's description also names the function that failed.
    static func of(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return String(cString: strerror(error.errnoCode))
    }
}
