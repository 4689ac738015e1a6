// RotatingFile.swift: a file that lines are appended to, and that makes way for a new one.
// Belongs here: opening, rotating by size, opening anew after somebody else moved it. Never here: what
// a line says. Owner: whoever made it guards it.

import Glibc

/// When a file makes way, and how many old ones stay.
struct Rotation: Equatable, Sendable {
    /// The size above which a line goes into a new file; nil for never.
    var bytesMax: Int?
    /// How many old files stay, as PATH.1 (the newest), PATH.2 and so on.
    var backups: Int

    /// The file only grows.
    static let never = Rotation(bytesMax: nil, backups: 0)
}

/// Why a file could not be opened.
struct FileFailure: Error, Equatable, CustomStringConvertible {
    let description: String
}

/// An open file; not Sendable.
final class RotatingFile {
    let path: String
    private let rotation: Rotation
    private var descriptor: Int32
    private var size = 0
    /// Below this size nothing is tried again after a rotation that failed.
    private var nextRotation = 0

    /// Opens or makes the file, with mode 0600.
    init(_ path: String, rotation: Rotation = .never) throws(FileFailure) {
        self.path = path
        self.rotation = rotation
        (descriptor, size) = try Self.open(path)
        nextRotation = rotation.bytesMax ?? .max
    }

    deinit {
        close(descriptor)
    }

    private static func open(_ path: String) throws(FileFailure) -> (Int32, Int) {
        let descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw FileFailure(description: "\(path): \(String(cString: strerror(errno)))")
        }
        var info = stat()
        return (descriptor, fstat(descriptor, &info) == 0 ? Int(info.st_size) : 0)
    }

    /// Appends a line; false if not all of it could be written.
    func write(_ line: [UInt8]) -> Bool {
        if size > 0, size + line.count > nextRotation { rotate() }
        guard Self.writeAll(line, to: descriptor) else { return false }
        size += line.count
        return true
    }

    /// Opens the path anew: whoever rotates files has given this one another name.
    ///
    /// If that fails the file stays the one that is open.
    func reopen() throws(FileFailure) {
        let (fresh, size) = try Self.open(path)
        close(descriptor)
        (descriptor, self.size) = (fresh, size)
        nextRotation = rotation.bytesMax ?? .max
    }

    private func rotate() {
        guard let bytesMax = rotation.bytesMax else { return }
        var isMoved = true
        if rotation.backups == 0 {
            isMoved = unlink(path) == 0
        } else {
            unlink("\(path).\(rotation.backups)")
            for number in stride(from: rotation.backups - 1, to: 0, by: -1) {
                rename("\(path).\(number)", "\(path).\(number + 1)")
            }
            isMoved = rename(path, "\(path).1") == 0
        }
        do throws(FileFailure) {
            guard isMoved else { throw FileFailure(description: path) }
            try reopen()
        } catch {
            // Lines go on into the file that is open; another try comes after as many bytes again.
            nextRotation = size + bytesMax
        }
    }

    /// Writes everything, whatever the number of calls it takes.
    static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
