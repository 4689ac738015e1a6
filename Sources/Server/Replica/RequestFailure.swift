// RequestFailure.swift: how far a failed request reaches.
// Belongs here: the two kinds. Never here: texts (ErrorMap.swift).

internal import Storage

/// Why a request was not carried out.
enum RequestFailure: Error, Equatable, Sendable {
    /// The request is refused and nothing was written for it; others in its batch are untouched.
    case refused(EtcdError)
    /// The store failed: the whole batch is void, and for some errors the process stops.
    case store(StorageError)
}

/// Runs a piece of Storage under the typed errors of requests.
@inline(__always)
func storing<Result>(
    _ body: () throws(StorageError) -> Result
) throws(RequestFailure) -> Result {
    do throws(StorageError) {
        return try body()
    } catch {
        throw .store(error)
    }
}
