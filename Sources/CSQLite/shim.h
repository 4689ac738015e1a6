// shim.h: SQLite, and what Swift cannot call of it: variadic functions.
#pragma once
#include <sqlite3.h>

/// Leaves out the counting of memory, which takes one lock of the whole process for each allocation.
///
/// To be called before any connection is opened; returns a result code.
static inline int martlet_sqlite_configure(void) {
    return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}
