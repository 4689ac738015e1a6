// FileStamp.swift: what tells a file from the one that was there before.
// Belongs here: looking. Never here: what is read again, and when (TLSContextSource, the server's JWTKeySource).

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The state of a file by its name; equal while nobody replaced or wrote it.
package struct FileStamp: Equatable, Sendable {
    private var inode: UInt64 = 0
    private var size: Int64 = 0
    private var seconds = 0
    private var nanoseconds = 0

    /// Looks at a file; that there is none is a state too.
    package init(path: String) {
        var info = stat()
        guard stat(path, &info) == 0 else { return }
        inode = UInt64(info.st_ino)
        size = Int64(info.st_size)
        seconds = info.st_mtim.tv_sec
        nanoseconds = info.st_mtim.tv_nsec
    }
}
