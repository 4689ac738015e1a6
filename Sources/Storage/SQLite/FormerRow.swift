// FormerRow.swift: an SQL function by which an UPDATE tells what its row was before.
// Belongs here: the function and the numbers it keeps. Never here: the statements that call it (MVCC/).
// Source: sqlite.org/c3ref/create_function.html. RETURNING shows a row only as it is afterwards; asking
// before costs another statement and another way down the tree.

internal import CSQLite

/// The numbers that the last call of `noting` was given; confined to the thread of its connection.
///
/// `noting(value, a, b, c, d)` is `value`, and keeps the integers a to d.
final class FormerRow {
    typealias Numbers = (Int64, Int64, Int64, Int64)

    private struct Cells {
        var numbers: Numbers = (0, 0, 0, 0)
        var isFilled = false
    }

    // Lives as long as this, which the connection keeps: SQLite calls the function no longer than that.
    private let cells = UnsafeMutablePointer<Cells>.allocate(capacity: 1)

    /// Adds the function to a connection, which keeps this object.
    init(handle: OpaquePointer) {
        cells.initialize(to: Cells())
        let code = sqlite3_create_function_v2(
            handle, "noting", 5, SQLITE_UTF8 | SQLITE_DIRECTONLY, cells,
            { context, _, values in
                guard let values, let data = sqlite3_user_data(context) else { return }
                let cells = data.assumingMemoryBound(to: Cells.self)
                cells.pointee.numbers = (
                    sqlite3_value_int64(values[1]), sqlite3_value_int64(values[2]),
                    sqlite3_value_int64(values[3]), sqlite3_value_int64(values[4])
                )
                cells.pointee.isFilled = true
                sqlite3_result_value(context, values[0])
            }, nil, nil, nil)
        precondition(code == SQLITE_OK, "adding an SQL function: result \(code)")
    }

    deinit {
        cells.deallocate()
    }

    /// Forgets the last call.
    func clear() {
        cells.pointee.isFilled = false
    }

    /// What was noted since `clear`; nil if no row was met.
    var numbers: Numbers? {
        cells.pointee.isFilled ? cells.pointee.numbers : nil
    }
}
