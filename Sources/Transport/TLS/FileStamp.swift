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
    /// Whether the last change of any kind was a second or more before the look; false where there is no file.
    ///
    /// By the clock that stamps files; where that was set back, a file is not settled until it gets there again.
    package private(set) var isSettled = false

    /// Looks at a file; that there is none is a state too.
    ///
    /// - Parameter clock: the seconds and nanoseconds of now, since 1970.
    package init(path: String, at clock: (seconds: Int, nanoseconds: Int) = FileStamp.now) {
        var info = stat()
        guard stat(path, &info) == 0 else { return }
        isSettled =
            (clock.seconds, clock.nanoseconds) >= (info.st_ctim.tv_sec + 1, info.st_ctim.tv_nsec)
        inode = UInt64(info.st_ino)
        size = Int64(info.st_size)
        seconds = info.st_mtim.tv_sec
        nanoseconds = info.st_mtim.tv_nsec
    }

    /// Whether it is of the same state of the same file; how long ago that was changed does not matter.
    package static func == (left: FileStamp, right: FileStamp) -> Bool {
        (left.inode, left.size, left.seconds, left.nanoseconds)
            == (right.inode, right.size, right.seconds, right.nanoseconds)
    }

    /// The time of day, as files are stamped with it.
    package static var now: (seconds: Int, nanoseconds: Int) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return (time.tv_sec, time.tv_nsec)
    }
}
