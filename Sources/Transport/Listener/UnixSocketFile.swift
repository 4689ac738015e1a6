// UnixSocketFile.swift: the file that a Unix socket leaves in the file system.
// Belongs here: one left behind by a crash makes room, one in use does not. Never here: listening
// (Listener.swift). Who may connect is a matter of the file's permissions, that is of the umask.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct UnixSocketFile: Sendable {
    /// The longest path the kernel takes.
    static let pathBytesMax = 107

    let path: String

    /// Makes sure that a socket can be bound at `path`.
    init(_ path: String) throws(TransportError) {
        self.path = path
        guard path.utf8.count <= Self.pathBytesMax else {
            throw .bind(
                address: path,
                reason: "a Unix socket's path has at most \(Self.pathBytesMax) bytes")
        }
        var info = stat()
        guard lstat(path, &info) == 0 else { return }
        guard info.st_mode & S_IFMT == S_IFSOCK else {
            throw .bind(address: path, reason: "there is a file that is not a socket")
        }
        guard !Self.isServed(path) else {
            throw .bind(address: path, reason: "another process listens there")
        }
        remove()
    }

    /// Removes the file; one that is gone already is no error.
    func remove() {
        unlink(path)
    }

    /// Whether somebody accepts connections there.
    private static func isServed(_ path: String) -> Bool {
        #if canImport(Glibc)
            let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        #else
            let descriptor = socket(AF_UNIX, SOCK_STREAM, 0)
        #endif
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return result == 0 || errno != ECONNREFUSED
    }
}
