// OfflineError.swift: why a command that works on files ended without doing it.
// Belongs here: the cases, their words and exit statuses. Never here: finding out (the commands).

internal import Storage

/// A reason for a command to end; the text says what to do.
enum OfflineError: Error, Equatable, CustomStringConvertible {
    /// The command line is wrong: exit status 2.
    case usage(String)
    /// The command must not do what it was asked for.
    case refused(String)
    /// A file holds what it cannot hold.
    case damaged(file: String, reason: String)
    /// The store that is read or written failed.
    case store(StorageError, directory: String)

    var description: String {
        switch self {
        case .usage(let text), .refused(let text): text
        case .damaged(let file, let reason): "\(file): \(reason)"
        case .store(let error, let directory):
            NodeError.storage(error, directory: directory).description
        }
    }

    var exitStatus: Int32 {
        if case .usage = self { return 2 }
        return 1
    }
}

/// Runs a piece of Storage for a command.
func storing<Result>(
    in directory: String, _ body: () throws(StorageError) -> Result
) throws(OfflineError) -> Result {
    do throws(StorageError) {
        return try body()
    } catch {
        throw .store(error, directory: directory)
    }
}

/// Runs a piece of the bbolt reader for a command.
func reading<Result>(
    _ file: String, _ body: () throws(BoltError) -> Result
) throws(OfflineError) -> Result {
    do throws(BoltError) {
        return try body()
    } catch {
        throw .damaged(file: file, reason: "\(error)")
    }
}
