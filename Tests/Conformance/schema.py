"""schema.py: etcd's v3 messages as Python classes, built at run time from the tables below.

Belongs here: names, numbers and types of fields. Never here: what a field means (the tests).
Source of truth: the table of the v3 API in the project's notes (messages.tsv), public part.
One line a message: its fields as NAME=NUMBER:TYPE; `*TYPE` is repeated, `NAME|FIELD` puts the
field into the oneof NAME. Enums are lists of names counting from 0, open as proto3's are.
"""

from __future__ import annotations

from types import SimpleNamespace

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_STORED = {
    "KeyValue": "key=1:bytes create_revision=2:int64 mod_revision=3:int64 version=4:int64"
                " value=5:bytes lease=6:int64",
    "Event": "type=1:Event.EventType kv=2:KeyValue prev_kv=3:KeyValue",
}
_STORED_ENUMS = {"Event.EventType": "PUT DELETE"}

_AUTH = {
    "UserAddOptions": "no_password=1:bool",
    "Permission": "permType=1:Permission.Type key=2:bytes range_end=3:bytes",
}
_AUTH_ENUMS = {"Permission.Type": "READ WRITE READWRITE"}

_PUBLIC = {
    "ResponseHeader": "cluster_id=1:uint64 member_id=2:uint64 revision=3:int64 raft_term=4:uint64",
    "RangeRequest": "key=1:bytes range_end=2:bytes limit=3:int64 revision=4:int64"
                    " sort_order=5:RangeRequest.SortOrder sort_target=6:RangeRequest.SortTarget"
                    " serializable=7:bool keys_only=8:bool count_only=9:bool"
                    " min_mod_revision=10:int64 max_mod_revision=11:int64"
                    " min_create_revision=12:int64 max_create_revision=13:int64",
    "RangeResponse": "header=1:ResponseHeader kvs=2:*mvccpb.KeyValue more=3:bool count=4:int64",
    "RangeStreamResponse": "range_response=1:RangeResponse",
    "PutRequest": "key=1:bytes value=2:bytes lease=3:int64 prev_kv=4:bool ignore_value=5:bool"
                  " ignore_lease=6:bool",
    "PutResponse": "header=1:ResponseHeader prev_kv=2:mvccpb.KeyValue",
    "DeleteRangeRequest": "key=1:bytes range_end=2:bytes prev_kv=3:bool",
    "DeleteRangeResponse": "header=1:ResponseHeader deleted=2:int64 prev_kvs=3:*mvccpb.KeyValue",
    "RequestOp": "request|request_range=1:RangeRequest request|request_put=2:PutRequest"
                 " request|request_delete_range=3:DeleteRangeRequest"
                 " request|request_txn=4:TxnRequest",
    "ResponseOp": "response|response_range=1:RangeResponse response|response_put=2:PutResponse"
                  " response|response_delete_range=3:DeleteRangeResponse"
                  " response|response_txn=4:TxnResponse",
    "Compare": "result=1:Compare.CompareResult target=2:Compare.CompareTarget key=3:bytes"
               " target_union|version=4:int64 target_union|create_revision=5:int64"
               " target_union|mod_revision=6:int64 target_union|value=7:bytes"
               " target_union|lease=8:int64 range_end=64:bytes",
    "TxnRequest": "compare=1:*Compare success=2:*RequestOp failure=3:*RequestOp",
    "TxnResponse": "header=1:ResponseHeader succeeded=2:bool responses=3:*ResponseOp",
    "CompactionRequest": "revision=1:int64 physical=2:bool",
    "CompactionResponse": "header=1:ResponseHeader",
    "HashRequest": "",
    "HashResponse": "header=1:ResponseHeader hash=2:uint32",
    "HashKVRequest": "revision=1:int64",
    "HashKVResponse": "header=1:ResponseHeader hash=2:uint32 compact_revision=3:int64"
                      " hash_revision=4:int64",
    "SnapshotRequest": "",
    "SnapshotResponse": "header=1:ResponseHeader remaining_bytes=2:uint64 blob=3:bytes"
                        " version=4:string",
    "WatchRequest": "request_union|create_request=1:WatchCreateRequest"
                    " request_union|cancel_request=2:WatchCancelRequest"
                    " request_union|progress_request=3:WatchProgressRequest",
    "WatchCreateRequest": "key=1:bytes range_end=2:bytes start_revision=3:int64"
                          " progress_notify=4:bool filters=5:*WatchCreateRequest.FilterType"
                          " prev_kv=6:bool watch_id=7:int64 fragment=8:bool",
    "WatchCancelRequest": "watch_id=1:int64",
    "WatchProgressRequest": "",
    "WatchResponse": "header=1:ResponseHeader watch_id=2:int64 created=3:bool canceled=4:bool"
                     " compact_revision=5:int64 cancel_reason=6:string fragment=7:bool"
                     " events=11:*mvccpb.Event",
    "LeaseGrantRequest": "TTL=1:int64 ID=2:int64",
    "LeaseGrantResponse": "header=1:ResponseHeader ID=2:int64 TTL=3:int64 error=4:string",
    "LeaseRevokeRequest": "ID=1:int64",
    "LeaseRevokeResponse": "header=1:ResponseHeader",
    "LeaseKeepAliveRequest": "ID=1:int64",
    "LeaseKeepAliveResponse": "header=1:ResponseHeader ID=2:int64 TTL=3:int64",
    "LeaseTimeToLiveRequest": "ID=1:int64 keys=2:bool",
    "LeaseTimeToLiveResponse": "header=1:ResponseHeader ID=2:int64 TTL=3:int64"
                               " grantedTTL=4:int64 keys=5:*bytes",
    "LeaseLeasesRequest": "",
    "LeaseStatus": "ID=1:int64",
    "LeaseLeasesResponse": "header=1:ResponseHeader leases=2:*LeaseStatus",
    "Member": "ID=1:uint64 name=2:string peerURLs=3:*string clientURLs=4:*string"
              " isLearner=5:bool",
    "MemberAddRequest": "peerURLs=1:*string isLearner=2:bool",
    "MemberAddResponse": "header=1:ResponseHeader member=2:Member members=3:*Member",
    "MemberRemoveRequest": "ID=1:uint64",
    "MemberRemoveResponse": "header=1:ResponseHeader members=2:*Member",
    "MemberUpdateRequest": "ID=1:uint64 peerURLs=2:*string",
    "MemberUpdateResponse": "header=1:ResponseHeader members=2:*Member",
    "MemberPromoteRequest": "ID=1:uint64",
    "MemberPromoteResponse": "header=1:ResponseHeader members=2:*Member",
    "MoveLeaderRequest": "targetID=1:uint64",
    "MoveLeaderResponse": "header=1:ResponseHeader",
    "MemberListRequest": "linearizable=1:bool",
    "MemberListResponse": "header=1:ResponseHeader members=2:*Member",
    "DefragmentRequest": "",
    "DefragmentResponse": "header=1:ResponseHeader",
    "AlarmRequest": "action=1:AlarmRequest.AlarmAction memberID=2:uint64 alarm=3:AlarmType",
    "AlarmMember": "memberID=1:uint64 alarm=2:AlarmType",
    "AlarmResponse": "header=1:ResponseHeader alarms=2:*AlarmMember",
    "StatusRequest": "",
    "StatusResponse": "header=1:ResponseHeader version=2:string dbSize=3:int64 leader=4:uint64"
                      " raftIndex=5:uint64 raftTerm=6:uint64 raftAppliedIndex=7:uint64"
                      " errors=8:*string dbSizeInUse=9:int64 isLearner=10:bool"
                      " storageVersion=11:string dbSizeQuota=12:int64"
                      " downgradeInfo=13:DowngradeInfo",
    "DowngradeInfo": "enabled=1:bool targetVersion=2:string",
    "AuthEnableRequest": "",
    "AuthEnableResponse": "header=1:ResponseHeader",
    "AuthDisableRequest": "",
    "AuthDisableResponse": "header=1:ResponseHeader",
    "AuthStatusRequest": "",
    "AuthStatusResponse": "header=1:ResponseHeader enabled=2:bool authRevision=3:uint64",
    "AuthenticateRequest": "name=1:string password=2:string",
    "AuthenticateResponse": "header=1:ResponseHeader token=2:string",
    "AuthUserAddRequest": "name=1:string password=2:string options=3:authpb.UserAddOptions"
                          " hashedPassword=4:string",
    "AuthUserAddResponse": "header=1:ResponseHeader",
    "AuthUserGetRequest": "name=1:string",
    "AuthUserGetResponse": "header=1:ResponseHeader roles=2:*string",
    "AuthUserListRequest": "",
    "AuthUserListResponse": "header=1:ResponseHeader users=2:*string",
    "AuthUserDeleteRequest": "name=1:string",
    "AuthUserDeleteResponse": "header=1:ResponseHeader",
    "AuthUserChangePasswordRequest": "name=1:string password=2:string hashedPassword=3:string",
    "AuthUserChangePasswordResponse": "header=1:ResponseHeader",
    "AuthUserGrantRoleRequest": "user=1:string role=2:string",
    "AuthUserGrantRoleResponse": "header=1:ResponseHeader",
    "AuthUserRevokeRoleRequest": "name=1:string role=2:string",
    "AuthUserRevokeRoleResponse": "header=1:ResponseHeader",
    "AuthRoleAddRequest": "name=1:string",
    "AuthRoleAddResponse": "header=1:ResponseHeader",
    "AuthRoleGetRequest": "role=1:string",
    "AuthRoleGetResponse": "header=1:ResponseHeader perm=2:*authpb.Permission",
    "AuthRoleListRequest": "",
    "AuthRoleListResponse": "header=1:ResponseHeader roles=2:*string",
    "AuthRoleDeleteRequest": "role=1:string",
    "AuthRoleDeleteResponse": "header=1:ResponseHeader",
    "AuthRoleGrantPermissionRequest": "name=1:string perm=2:authpb.Permission",
    "AuthRoleGrantPermissionResponse": "header=1:ResponseHeader",
    "AuthRoleRevokePermissionRequest": "role=1:string key=2:bytes range_end=3:bytes",
    "AuthRoleRevokePermissionResponse": "header=1:ResponseHeader",
    "DowngradeRequest": "action=1:DowngradeRequest.DowngradeAction version=2:string",
    "DowngradeResponse": "header=1:ResponseHeader version=2:string",
}
_PUBLIC_ENUMS = {
    "RangeRequest.SortOrder": "NONE ASCEND DESCEND",
    "RangeRequest.SortTarget": "KEY VERSION CREATE MOD VALUE",
    "Compare.CompareResult": "EQUAL GREATER LESS NOT_EQUAL",
    "Compare.CompareTarget": "VERSION CREATE MOD VALUE LEASE",
    "WatchCreateRequest.FilterType": "NOPUT NODELETE",
    "AlarmRequest.AlarmAction": "GET ACTIVATE DEACTIVATE",
    "AlarmType": "NO_ALARM NOSPACE CORRUPT",
    "DowngradeRequest.DowngradeAction": "VALIDATE ENABLE CANCEL",
}

_HEALTH = {
    "HealthCheckRequest": "service=1:string",
    "HealthCheckResponse": "status=1:HealthCheckResponse.ServingStatus",
    "HealthListRequest": "",
    # A map on the wire: a list of pairs.
    "HealthListEntry": "key=1:string value=2:HealthCheckResponse",
    "HealthListResponse": "statuses=1:*HealthListEntry",
}
_HEALTH_ENUMS = {
    "HealthCheckResponse.ServingStatus": "UNKNOWN SERVING NOT_SERVING SERVICE_UNKNOWN",
}

_LOCK = {
    "LockRequest": "name=1:bytes lease=2:int64",
    "LockResponse": "header=1:etcdserverpb.ResponseHeader key=2:bytes",
    "UnlockRequest": "key=1:bytes",
    "UnlockResponse": "header=1:etcdserverpb.ResponseHeader",
}
_ELECTION = {
    "LeaderKey": "name=1:bytes key=2:bytes rev=3:int64 lease=4:int64",
    "CampaignRequest": "name=1:bytes lease=2:int64 value=3:bytes",
    "CampaignResponse": "header=1:etcdserverpb.ResponseHeader leader=2:LeaderKey",
    "ProclaimRequest": "leader=1:LeaderKey value=2:bytes",
    "ProclaimResponse": "header=1:etcdserverpb.ResponseHeader",
    "LeaderRequest": "name=1:bytes",
    "LeaderResponse": "header=1:etcdserverpb.ResponseHeader kv=2:mvccpb.KeyValue",
    "ResignRequest": "leader=1:LeaderKey",
    "ResignResponse": "header=1:etcdserverpb.ResponseHeader",
}

_SCALARS = {name: getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{name.upper()}")
            for name in ("bytes", "string", "bool", "int64", "uint64", "uint32")}


_OTHER_PACKAGES = ("mvccpb.", "authpb.", "etcdserverpb.")


def _add_enum(file: descriptor_pb2.FileDescriptorProto, name: str, values: str) -> None:
    outer, _, inner = name.rpartition(".")
    holder = next(m for m in file.message_type if m.name == outer) if outer else file
    enum = holder.enum_type.add(name=inner)
    for number, value in enumerate(values.split()):
        enum.value.add(name=value, number=number)


def _add_field(message: descriptor_pb2.DescriptorProto, text: str, package: str,
               enums: dict[str, str]) -> None:
    name, _, rest = text.partition("=")
    number, _, kind = rest.partition(":")
    oneof, _, plain = name.rpartition("|")
    field = message.field.add(name=plain, number=int(number))
    field.label = field.LABEL_REPEATED if kind.startswith("*") else field.LABEL_OPTIONAL
    kind = kind.removeprefix("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = field.TYPE_ENUM if kind in enums else field.TYPE_MESSAGE
        field.type_name = f".{kind}" if kind.startswith(_OTHER_PACKAGES) else f".{package}.{kind}"
    if oneof:
        known = [existing.name for existing in message.oneof_decl]
        if oneof not in known:
            message.oneof_decl.add(name=oneof)
            known.append(oneof)
        field.oneof_index = known.index(oneof)


def _build(pool: descriptor_pool.DescriptorPool, package: str, messages: dict[str, str],
           enums: dict[str, str], imports: tuple[str, ...] = ()) -> SimpleNamespace:
    file = descriptor_pb2.FileDescriptorProto(
        name=package, package=package, syntax="proto3", dependency=imports)
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field in fields.split():
            _add_field(message, field, package, enums)
    for name, values in enums.items():
        _add_enum(file, name, values)
    pool.Add(file)
    return SimpleNamespace(**{
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages})


_pool = descriptor_pool.DescriptorPool()
mvcc = _build(_pool, "mvccpb", _STORED, _STORED_ENUMS)
authpb = _build(_pool, "authpb", _AUTH, _AUTH_ENUMS)
pb = _build(_pool, "etcdserverpb", _PUBLIC, _PUBLIC_ENUMS, ("mvccpb", "authpb"))
health = _build(_pool, "grpc.health.v1", _HEALTH, _HEALTH_ENUMS)
lock = _build(_pool, "v3lockpb", _LOCK, {}, ("etcdserverpb",))
election = _build(_pool, "v3electionpb", _ELECTION, {}, ("etcdserverpb", "mvccpb"))
