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
                    },
                    "Run": {
                      "requestType": "RunRequest",
                      "responseType": "RunEvent",
                      "responseStream": true
                    },
                    "ListAgents": {
                      "requestType": "ListAgentsRequest",
                      "responseType": "ListAgentsResponse"
                    },
                    "GetStatus": {
                      "requestType": "GetStatusRequest",
                      "responseType": "GetStatusResponse"
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
                    },
                    "model_calls": {
                      "type": "uint32",
                      "id": 5
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
                },
                "RunRequest": {
                  "oneofs": {
                    "_hedge_after_ms": {
                      "oneof": [
                        "hedge_after_ms"
                      ]
                    }
                  },
                  "fields": {
                    "prompt": {
                      "type": "string",
                      "id": 1
                    },
                    "agent": {
                      "type": "string",
                      "id": 2
                    },
                    "context": {
                      "type": "string",
                      "id": 3
                    },
                    "node_id": {
                      "type": "string",
                      "id": 4
                    },
                    "strategy": {
                      "type": "Strategy",
                      "id": 5
                    },
                    "workload": {
                      "type": "Workload",
                      "id": 6
                    },
                    "requirements": {
                      "type": "Requirements",
                      "id": 7
                    },
                    "near": {
                      "rule": "repeated",
                      "type": "string",
                      "id": 8
                    },
                    "priority": {
                      "type": "Priority",
                      "id": 9
                    },
                    "timeout_ms": {
                      "type": "uint32",
                      "id": 10
                    },
                    "explain": {
                      "type": "bool",
                      "id": 11
                    },
                    "hedge_after_ms": {
                      "type": "uint32",
                      "id": 13,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "task_id": {
                      "type": "string",
                      "id": 12
                    },
                    "thread": {
                      "type": "string",
                      "id": 14
                    },
                    "anew": {
                      "type": "bool",
                      "id": 15
                    },
                    "rerun": {
                      "type": "bool",
                      "id": 16
                    }
                  }
                },
                "Strategy": {
                  "values": {
                    "STRATEGY_UNSPECIFIED": 0,
                    "STRATEGY_CAPABILITY_BASED": 1,
                    "STRATEGY_LEAST_LOADED": 2,
                    "STRATEGY_LATENCY_AWARE": 3,
                    "STRATEGY_ROUND_ROBIN": 4,
                    "STRATEGY_RANDOM": 5,
                    "STRATEGY_LOCAL_FIRST": 6
                  }
                },
                "Workload": {
                  "values": {
                    "WORKLOAD_UNSPECIFIED": 0,
                    "WORKLOAD_HEAVY": 1,
                    "WORKLOAD_LIGHT": 2,
                    "WORKLOAD_BACKGROUND": 3
                  }
                },
                "Priority": {
                  "values": {
                    "PRIORITY_UNSPECIFIED": 0,
                    "PRIORITY_HIGH": 1,
                    "PRIORITY_NORMAL": 2,
                    "PRIORITY_LOW": 3
                  }
                },
                "Requirements": {
                  "oneofs": {
                    "_memory": {
                      "oneof": [
                        "memory"
                      ]
                    },
                    "_vram": {
                      "oneof": [
                        "vram"
                      ]
                    },
                    "_gpu": {
                      "oneof": [
                        "gpu"
                      ]
                    },
                    "_chip": {
                      "oneof": [
                        "chip"
                      ]
                    },
                    "_vendor": {
                      "oneof": [
                        "vendor"
                      ]
                    },
                    "_model": {
                      "oneof": [
                        "model"
                      ]
                    }
                  },
                  "fields": {
                    "memory": {
                      "type": "double",
                      "id": 1,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "vram": {
                      "type": "double",
                      "id": 2,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "flops": {
                      "type": "Flops",
                      "id": 3
                    },
                    "gpu": {
                      "type": "bool",
                      "id": 4,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "chip": {
                      "type": "string",
                      "id": 5,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "vendor": {
                      "type": "string",
                      "id": 6,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "model": {
                      "type": "string",
                      "id": 7,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "tools": {
                      "rule": "repeated",
                      "type": "string",
                      "id": 8
                    },
                    "labels": {
                      "rule": "repeated",
                      "type": "string",
                      "id": 9
                    }
                  }
                },
                "Flops": {
                  "oneofs": {
                    "_fp32": {
                      "oneof": [
                        "fp32"
                      ]
                    },
                    "_fp16": {
                      "oneof": [
                        "fp16"
                      ]
                    },
                    "_int8": {
                      "oneof": [
                        "int8"
                      ]
                    }
                  },
                  "fields": {
                    "fp32": {
                      "type": "double",
                      "id": 1,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "fp16": {
                      "type": "double",
                      "id": 2,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "int8": {
                      "type": "double",
                      "id": 3,
                      "options": {
                        "proto3_optional": true
                      }
                    }
                  }
                },
                "RunEvent": {
                  "oneofs": {
                    "event": {
                      "oneof": [
                        "routed",
                        "started",
                        "fallback",
                        "token",
                        "tool_call",
                        "tool_result",
                        "result",
                        "agent_call",
                        "agent_result",
                        "step",
                        "step_result",
                        "tool_error",
                        "agent_error"
                      ]
                    }
                  },
                  "fields": {
                    "routed": {
                      "type": "Routed",
                      "id": 1
                    },
                    "started": {
                      "type": "Started",
                      "id": 2
                    },
                    "fallback": {
                      "type": "Fallback",
                      "id": 3
                    },
                    "token": {
                      "type": "Token",
                      "id": 4
                    },
                    "tool_call": {
                      "type": "ToolCall",
                      "id": 5
                    },
                    "tool_result": {
                      "type": "ToolResult",
                      "id": 6
                    },
                    "result": {
                      "type": "RunResult",
                      "id": 7
                    },
                    "agent_call": {
                      "type": "AgentCall",
                      "id": 8
                    },
                    "agent_result": {
                      "type": "AgentResult",
                      "id": 9
                    },
                    "step": {
                      "type": "Step",
                      "id": 10
                    },
                    "step_result": {
                      "type": "StepResult",
                      "id": 11
                    },
                    "tool_error": {
                      "type": "ToolError",
                      "id": 12
                    },
                    "agent_error": {
                      "type": "AgentError",
                      "id": 13
                    }
                  }
                },
                "Step": {
                  "fields": {
                    "network": {
                      "type": "string",
                      "id": 1
                    },
                    "step": {
                      "type": "uint32",
                      "id": 2
                    },
                    "agent": {
                      "type": "string",
                      "id": 3
                    }
                  }
                },
                "StepResult": {
                  "fields": {
                    "network": {
                      "type": "string",
                      "id": 1
                    },
                    "step": {
                      "type": "uint32",
                      "id": 2
                    },
                    "result": {
                      "type": "AgentResult",
                      "id": 3
                    }
                  }
                },
                "Routed": {
                  "fields": {
                    "task_id": {
                      "type": "string",
                      "id": 1
                    },
                    "attempt": {
                      "type": "uint32",
                      "id": 2
                    },
                    "node_id": {
                      "type": "string",
                      "id": 3
                    },
                    "reason": {
                      "type": "string",
                      "id": 4
                    },
                    "considered": {
                      "rule": "repeated",
                      "type": "Consideration",
                      "id": 5
                    }
                  }
                },
                "Consideration": {
                  "oneofs": {
                    "_place": {
                      "oneof": [
                        "place"
                      ]
                    },
                    "_finish_ms": {
                      "oneof": [
                        "finish_ms"
                      ]
                    }
                  },
                  "fields": {
                    "node_id": {
                      "type": "string",
                      "id": 1
                    },
                    "place": {
                      "type": "uint32",
                      "id": 2,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "finish_ms": {
                      "type": "double",
                      "id": 3,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "reason": {
                      "type": "string",
                      "id": 4
                    }
                  }
                },
                "Started": {
                  "fields": {
                    "task_id": {
                      "type": "string",
                      "id": 1
                    },
                    "attempt": {
                      "type": "uint32",
                      "id": 2
                    },
                    "node_id": {
                      "type": "string",
                      "id": 3
                    }
                  }
                },
                "Fallback": {
                  "fields": {
                    "task_id": {
                      "type": "string",
                      "id": 1
                    },
                    "attempt": {
                      "type": "uint32",
                      "id": 2
                    },
                    "node_id": {
                      "type": "string",
                      "id": 3
                    },
                    "reason": {
                      "type": "string",
                      "id": 4
                    }
                  }
                },
                "Token": {
                  "fields": {
                    "text": {
                      "type": "string",
                      "id": 1
                    }
                  }
                },
                "ToolCall": {
                  "fields": {
                    "tool": {
                      "type": "string",
                      "id": 1
                    },
                    "arguments_json": {
                      "type": "string",
                      "id": 2
                    },
                    "call_id": {
                      "type": "string",
                      "id": 3
                    }
                  }
                },
                "ToolResult": {
                  "fields": {
                    "tool": {
                      "type": "string",
                      "id": 1
                    },
                    "result_json": {
                      "type": "string",
                      "id": 2
                    },
                    "call_id": {
                      "type": "string",
                      "id": 3
                    }
                  }
                },
                "ToolError": {
                  "fields": {
                    "tool": {
                      "type": "string",
                      "id": 1
                    },
                    "reason": {
                      "type": "string",
                      "id": 2
                    },
                    "call_id": {
                      "type": "string",
                      "id": 3
                    }
                  }
                },
                "AgentCall": {
                  "fields": {
                    "agent": {
                      "type": "string",
                      "id": 1
                    },
                    "prompt": {
                      "type": "string",
                      "id": 2
                    },
                    "call_id": {
                      "type": "string",
                      "id": 3
                    }
                  }
                },
                "AgentResult": {
                  "fields": {
                    "agent": {
                      "type": "string",
                      "id": 1
                    },
                    "node_id": {
                      "type": "string",
                      "id": 2
                    },
                    "task_id": {
                      "type": "string",
                      "id": 3
                    },
                    "output": {
                      "type": "string",
                      "id": 4
                    },
                    "call_id": {
                      "type": "string",
                      "id": 5
                    }
                  }
                },
                "AgentError": {
                  "fields": {
                    "agent": {
                      "type": "string",
                      "id": 1
                    },
                    "reason": {
                      "type": "string",
                      "id": 2
                    },
                    "call_id": {
                      "type": "string",
                      "id": 3
                    }
                  }
                },
                "RunResult": {
                  "oneofs": {
                    "_output": {
                      "oneof": [
                        "output"
                      ]
                    },
                    "_data_json": {
                      "oneof": [
                        "data_json"
                      ]
                    }
                  },
                  "fields": {
                    "task_id": {
                      "type": "string",
                      "id": 1
                    },
                    "agent": {
                      "type": "string",
                      "id": 2
                    },
                    "node_id": {
                      "type": "string",
                      "id": 3
                    },
                    "output": {
                      "type": "string",
                      "id": 4,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "data_json": {
                      "type": "string",
                      "id": 5,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "attempts": {
                      "type": "uint32",
                      "id": 6
                    },
                    "duration_ms": {
                      "type": "double",
                      "id": 7
                    },
                    "service_ms": {
                      "type": "double",
                      "id": 8
                    },
                    "reason": {
                      "type": "string",
                      "id": 9
                    },
                    "usage": {
                      "type": "Usage",
                      "id": 10
                    }
                  }
                },
                "Usage": {
                  "fields": {
                    "input_tokens": {
                      "type": "uint64",
                      "id": 1
                    },
                    "output_tokens": {
                      "type": "uint64",
                      "id": 2
                    },
                    "model_calls": {
                      "type": "uint64",
                      "id": 3
                    }
                  }
                },
                "ListAgentsRequest": {
                  "fields": {}
                },
                "ListAgentsResponse": {
                  "fields": {
                    "agents": {
                      "rule": "repeated",
                      "type": "Agent",
                      "id": 1
                    }
                  }
                },
                "Agent": {
                  "oneofs": {
                    "_idempotent": {
                      "oneof": [
                        "idempotent"
                      ]
                    }
                  },
                  "fields": {
                    "name": {
                      "type": "string",
                      "id": 1
                    },
                    "description": {
                      "type": "string",
                      "id": 2
                    },
                    "workload": {
                      "type": "Workload",
                      "id": 3
                    },
                    "requirements": {
                      "type": "Requirements",
                      "id": 4
                    },
                    "idempotent": {
                      "type": "bool",
                      "id": 5,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "tools": {
                      "rule": "repeated",
                      "type": "string",
                      "id": 6
                    },
                    "nodes": {
                      "rule": "repeated",
                      "type": "string",
                      "id": 7
                    }
                  }
                },
                "GetStatusRequest": {
                  "fields": {}
                },
                "GetStatusResponse": {
                  "fields": {
                    "node_id": {
                      "type": "string",
                      "id": 1
                    },
                    "network": {
                      "type": "string",
                      "id": 2
                    },
                    "version": {
                      "type": "string",
                      "id": 3
                    },
                    "state": {
                      "type": "string",
                      "id": 4
                    },
                    "device": {
                      "type": "Device",
                      "id": 5
                    },
                    "slots": {
                      "type": "uint32",
                      "id": 6
                    },
                    "running_tasks": {
                      "type": "uint32",
                      "id": 7
                    },
                    "queued_tasks": {
                      "type": "uint32",
                      "id": 8
                    },
                    "peers": {
                      "rule": "repeated",
                      "type": "Peer",
                      "id": 9
                    },
                    "tasks": {
                      "rule": "repeated",
                      "type": "Task",
                      "id": 10
                    }
                  }
                },
                "Device": {
                  "oneofs": {
                    "_model": {
                      "oneof": [
                        "model"
                      ]
                    },
                    "_chip": {
                      "oneof": [
                        "chip"
                      ]
                    },
                    "_memory": {
                      "oneof": [
                        "memory"
                      ]
                    },
                    "_vram": {
                      "oneof": [
                        "vram"
                      ]
                    },
                    "_cores": {
                      "oneof": [
                        "cores"
                      ]
                    }
                  },
                  "fields": {
                    "model": {
                      "type": "string",
                      "id": 1,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "chip": {
                      "type": "string",
                      "id": 2,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "memory": {
                      "type": "double",
                      "id": 3,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "vram": {
                      "type": "double",
                      "id": 4,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "flops": {
                      "type": "Flops",
                      "id": 5
                    },
                    "cores": {
                      "type": "uint32",
                      "id": 6,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "gpus": {
                      "rule": "repeated",
                      "type": "string",
                      "id": 7
                    },
                    "os": {
                      "type": "string",
                      "id": 8
                    },
                    "arch": {
                      "type": "string",
                      "id": 9
                    }
                  }
                },
                "Peer": {
                  "oneofs": {
                    "_latency_ms": {
                      "oneof": [
                        "latency_ms"
                      ]
                    },
                    "_problem": {
                      "oneof": [
                        "problem"
                      ]
                    }
                  },
                  "fields": {
                    "node_id": {
                      "type": "string",
                      "id": 1
                    },
                    "state": {
                      "type": "string",
                      "id": 2
                    },
                    "address": {
                      "type": "string",
                      "id": 3
                    },
                    "healthy": {
                      "type": "bool",
                      "id": 4
                    },
                    "device": {
                      "type": "Device",
                      "id": 5
                    },
                    "agents": {
                      "rule": "repeated",
                      "type": "string",
                      "id": 6
                    },
                    "current_load": {
                      "type": "double",
                      "id": 7
                    },
                    "latency_ms": {
                      "type": "double",
                      "id": 8,
                      "options": {
                        "proto3_optional": true
                      }
                    },
                    "problem": {
                      "type": "string",
                      "id": 9,
                      "options": {
                        "proto3_optional": true
                      }
                    }
                  }
                },
                "Task": {
                  "fields": {
                    "task_id": {
                      "type": "string",
                      "id": 1
                    },
                    "agent": {
                      "type": "string",
                      "id": 2
                    },
                    "state": {
                      "type": "string",
                      "id": 3
                    },
                    "node_id": {
                      "type": "string",
                      "id": 4
                    },
                    "caller": {
                      "type": "string",
                      "id": 5
                    },
                    "attempt": {
                      "type": "uint32",
                      "id": 6
                    },
                    "priority": {
                      "type": "Priority",
                      "id": 7
                    },
                    "running_ms": {
                      "type": "double",
                      "id": 8
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
