// BoltError.swift: why a bbolt file is not read any further, with the page.
// Belongs here: the cases and their words. Never here: what an operator should do (Offline/).

/// What is wrong with a bbolt file.
public enum BoltError: Error, Equatable, Sendable {
    /// It is no bbolt file at all, or of a version that this reader does not know.
    case foreign(reason: String)
    /// A page says something that cannot be.
    case damaged(page: UInt64, reason: String)
    /// The system could not read it.
    case unreadable(reason: String)
}

extension BoltError: CustomStringConvertible {
    /// One sentence with the place.
    public var description: String {
        switch self {
        case .foreign(let reason): "this is not an etcd database: \(reason)"
        case .damaged(let page, let reason): "page \(page) is damaged: \(reason)"
        case .unreadable(let reason): "it cannot be read: \(reason)"
        }
    }
}
