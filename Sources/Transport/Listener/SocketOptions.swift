// SocketOptions.swift: options of sockets for which NIO has no name.
// Belongs here: their numbers. Never here: who sets them.

import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension NIOBSDSocket.Option {
    /// Several sockets may listen on one port; the kernel shares connections out among them.
    static var reusePort: NIOBSDSocket.Option { NIOBSDSocket.Option(rawValue: SO_REUSEPORT) }
}
