// HeaderFields.swift: the header blocks Transport sends, built without allocations where they are
// constant. Belongs here: names, values and nghttp2's flags for them. Never here: when they are
// sent.

import CNGHTTP2

enum HeaderFields {
    private static let staticFlags =
        UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue) | UInt8(NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)

    /// A field whose name and value live for ever.
    @inline(__always)
    static func field(_ name: StaticString, _ value: StaticString) -> nghttp2_nv {
        nghttp2_nv(
            name: UnsafeMutablePointer(mutating: name.utf8Start),
            value: UnsafeMutablePointer(mutating: value.utf8Start),
            namelen: name.utf8CodeUnitCount, valuelen: value.utf8CodeUnitCount, flags: staticFlags)
    }

    /// A field whose value nghttp2 copies, and does not put into the dynamic table.
    @inline(__always)
    static func field(_ name: StaticString, _ value: UnsafeBufferPointer<UInt8>) -> nghttp2_nv {
        nghttp2_nv(
            name: UnsafeMutablePointer(mutating: name.utf8Start),
            value: UnsafeMutablePointer(mutating: value.baseAddress),
            namelen: name.utf8CodeUnitCount, valuelen: value.count,
            flags: UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue)
                | UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue))
    }

    /// The field grpc-status.
    static func status(_ code: GRPCCode) -> nghttp2_nv {
        let value: StaticString =
            switch code {
            case .ok: "0"
            case .cancelled: "1"
            case .unknown: "2"
            case .invalidArgument: "3"
            case .deadlineExceeded: "4"
            case .notFound: "5"
            case .alreadyExists: "6"
            case .permissionDenied: "7"
            case .resourceExhausted: "8"
            case .failedPrecondition: "9"
            case .aborted: "10"
            case .outOfRange: "11"
            case .unimplemented: "12"
            case .internal: "13"
            case .unavailable: "14"
            case .dataLoss: "15"
            case .unauthenticated: "16"
            }
        return field("grpc-status", value)
    }

    /// The field `:status` of an answer that ends a call before it began.
    static func httpStatus(_ status: EarlyStatus) -> nghttp2_nv {
        switch status {
        case .ok: field(":status", "200")
        case .badRequest: field(":status", "400")
        case .methodNotAllowed: field(":status", "405")
        case .unsupportedMediaType: field(":status", "415")
        }
    }

    /// The HTTP statuses a gRPC answer can have.
    enum EarlyStatus {
        case ok
        case badRequest
        case methodNotAllowed
        case unsupportedMediaType
    }
}
