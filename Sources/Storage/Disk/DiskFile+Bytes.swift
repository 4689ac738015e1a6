// DiskFile+Bytes.swift: arrays in and out of a file, for what is too rare to deserve raw pointers.
// Belongs here: conversions that keep DiskError as the error type. Never here: formats, caching.

extension DiskFile {
    /// Writes all of `bytes` at `offset`.
    package func write(_ bytes: [UInt8], at offset: UInt64) throws(DiskError) {
        try bytes.withUnsafeBufferPointer { (all) throws(DiskError) in
            try write(UnsafeRawBufferPointer(all), at: offset)
        }
    }

    /// Fills `bytes` from `offset`; cuts it short at the end of the file.
    package func read(into bytes: inout [UInt8], at offset: UInt64) throws(DiskError) {
        let wanted = bytes.count
        let count = try bytes.withUnsafeMutableBufferPointer { (all) throws(DiskError) in
            try read(into: UnsafeMutableRawBufferPointer(all), at: offset)
        }
        bytes.removeLast(wanted - count)
    }
}
