// Generated from proto/hanzo_network_v1.proto by `deno task generate`. Do not edit.

/** The description of `hanzo.network.v1`, as `fromJSON` of @grpc/proto-loader takes it. */
// deno-fmt-ignore
export const networkDescriptor: Record<string, unknown> = {
  "nested": {
    "hanzo": {
      "nested": {
        "network": {
          "nested": {
            "v1": {
              "nested": {
                "Network": {
                  "methods": {
                    "Link": {
                      "requestType": "Frame",
                      "requestStream": true,
                      "responseType": "Frame",
                      "responseStream": true
                    }
                  }
                },
                "Frame": {
                  "fields": {
                    "messages": {
                      "rule": "repeated",
                      "type": "Message",
                      "id": 1
                    },
                    "load": {
                      "type": "Load",
                      "id": 2
                    }
                  }
                },
                "Load": {
                  "fields": {
                    "running": {
                      "type": "uint32",
                      "id": 1
                    },
                    "queued": {
                      "type": "uint32",
                      "id": 2
                    },
                    "slots": {
                      "type": "uint32",
                      "id": 3
                    },
                    "calls_received": {
                      "type": "uint64",
                      "id": 4
                    }
                  }
                },
                "Kind": {
                  "values": {
                    "KIND_UNSPECIFIED": 0,
                    "HELLO": 1,
                    "GOODBYE": 2,
                    "PING": 3,
                    "PONG": 4,
                    "NOTICE": 5,
                    "CALL": 6,
                    "ITEM": 7,
                    "END": 8,
                    "CANCEL": 9,
                    "CREDIT": 10,
                    "RETIRE": 11
                  }
                },
                "ErrorCode": {
                  "values": {
                    "NONE": 0,
                    "INVALID_ARGUMENT": 1,
                    "NOT_FOUND": 2,
                    "UNAVAILABLE": 3,
                    "RESOURCE_EXHAUSTED": 4,
                    "DEADLINE_EXCEEDED": 5,
                    "CANCELLED": 6,
                    "UNKNOWN_OUTCOME": 7,
                    "NAME_CONFLICT": 8,
                    "PERMISSION_DENIED": 9,
                    "PORT_IN_USE": 10,
                    "FAILED_PRECONDITION": 11,
                    "AGENT_FAILED": 12,
                    "PROTOCOL": 13,
                    "INTERNAL": 14
                  }
                },
                "Message": {
                  "fields": {
                    "kind": {
                      "type": "Kind",
                      "id": 1
                    },
                    "call": {
                      "type": "uint64",
                      "id": 2
                    },
                    "method": {
                      "type": "string",
                      "id": 3
                    },
                    "body": {
                      "type": "bytes",
                      "id": 4
                    },
                    "error_code": {
                      "type": "ErrorCode",
                      "id": 5
                    },
                    "retry_after_ms": {
                      "type": "uint32",
                      "id": 6
                    },
                    "credit": {
                      "type": "uint32",
                      "id": 7
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
  }
};
