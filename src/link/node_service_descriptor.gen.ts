// Generated from proto/node_service.proto by `deno task generate`. Do not edit.

/** The description of `node_service`, as `fromJSON` of @grpc/proto-loader takes it. */
// deno-fmt-ignore
export const nodeServiceDescriptor: Record<string, unknown> = {
  "nested": {
    "node_service": {
      "nested": {
        "NodeService": {
          "methods": {
            "SendPrompt": {
              "requestType": "PromptRequest",
              "responseType": "Tensor"
            },
            "SendTensor": {
              "requestType": "TensorRequest",
              "responseType": "Tensor"
            },
            "SendExample": {
              "requestType": "ExampleRequest",
              "responseType": "Loss"
            },
            "CollectTopology": {
              "requestType": "CollectTopologyRequest",
              "responseType": "Topology"
            },
            "SendResult": {
              "requestType": "SendResultRequest",
              "responseType": "Empty"
            },
            "SendOpaqueStatus": {
              "requestType": "SendOpaqueStatusRequest",
              "responseType": "Empty"
            },
            "HealthCheck": {
              "requestType": "HealthCheckRequest",
              "responseType": "HealthCheckResponse"
            }
          }
        },
        "Shard": {
          "fields": {
            "model_id": {
              "type": "string",
              "id": 1
            },
            "start_layer": {
              "type": "int32",
              "id": 2
            },
            "end_layer": {
              "type": "int32",
              "id": 3
            },
            "n_layers": {
              "type": "int32",
              "id": 4
            }
          }
        },
        "PromptRequest": {
          "oneofs": {
            "_request_id": {
              "oneof": [
                "request_id"
              ]
            },
            "_inference_state": {
              "oneof": [
                "inference_state"
              ]
            }
          },
          "fields": {
            "shard": {
              "type": "Shard",
              "id": 1
            },
            "prompt": {
              "type": "string",
              "id": 2
            },
            "request_id": {
              "type": "string",
              "id": 3,
              "options": {
                "proto3_optional": true
              }
            },
            "inference_state": {
              "type": "InferenceState",
              "id": 4,
              "options": {
                "proto3_optional": true
              }
            }
          }
        },
        "TensorRequest": {
          "oneofs": {
            "_request_id": {
              "oneof": [
                "request_id"
              ]
            },
            "_inference_state": {
              "oneof": [
                "inference_state"
              ]
            }
          },
          "fields": {
            "shard": {
              "type": "Shard",
              "id": 1
            },
            "tensor": {
              "type": "Tensor",
              "id": 2
            },
            "request_id": {
              "type": "string",
              "id": 3,
              "options": {
                "proto3_optional": true
              }
            },
            "inference_state": {
              "type": "InferenceState",
              "id": 4,
              "options": {
                "proto3_optional": true
              }
            }
          }
        },
        "ExampleRequest": {
          "oneofs": {
            "_request_id": {
              "oneof": [
                "request_id"
              ]
            }
          },
          "fields": {
            "shard": {
              "type": "Shard",
              "id": 1
            },
            "example": {
              "type": "Tensor",
              "id": 2
            },
            "target": {
              "type": "Tensor",
              "id": 3
            },
            "length": {
              "type": "Tensor",
              "id": 4
            },
            "train": {
              "type": "bool",
              "id": 5
            },
            "request_id": {
              "type": "string",
              "id": 6,
              "options": {
                "proto3_optional": true
              }
            }
          }
        },
        "Loss": {
          "oneofs": {
            "_grads": {
              "oneof": [
                "grads"
              ]
            }
          },
          "fields": {
            "loss": {
              "type": "float",
              "id": 1
            },
            "grads": {
              "type": "Tensor",
              "id": 2,
              "options": {
                "proto3_optional": true
              }
            }
          }
        },
        "Tensor": {
          "fields": {
            "tensor_data": {
              "type": "bytes",
              "id": 1
            },
            "shape": {
              "rule": "repeated",
              "type": "int32",
              "id": 2
            },
            "dtype": {
              "type": "string",
              "id": 3
            }
          }
        },
        "TensorList": {
          "fields": {
            "tensors": {
              "rule": "repeated",
              "type": "Tensor",
              "id": 1
            }
          }
        },
        "InferenceState": {
          "fields": {
            "tensor_data": {
              "keyType": "string",
              "type": "Tensor",
              "id": 1
            },
            "tensor_list_data": {
              "keyType": "string",
              "type": "TensorList",
              "id": 2
            },
            "other_data_json": {
              "type": "string",
              "id": 3
            }
          }
        },
        "CollectTopologyRequest": {
          "fields": {
            "visited": {
              "rule": "repeated",
              "type": "string",
              "id": 1
            },
            "max_depth": {
              "type": "int32",
              "id": 2
            }
          }
        },
        "Topology": {
          "fields": {
            "nodes": {
              "keyType": "string",
              "type": "DeviceCapabilities",
              "id": 1
            },
            "peer_graph": {
              "keyType": "string",
              "type": "PeerConnections",
              "id": 2
            }
          }
        },
        "PeerConnections": {
          "fields": {
            "connections": {
              "rule": "repeated",
              "type": "PeerConnection",
              "id": 1
            }
          }
        },
        "PeerConnection": {
          "oneofs": {
            "_description": {
              "oneof": [
                "description"
              ]
            }
          },
          "fields": {
            "to_id": {
              "type": "string",
              "id": 1
            },
            "description": {
              "type": "string",
              "id": 2,
              "options": {
                "proto3_optional": true
              }
            }
          }
        },
        "DeviceCapabilities": {
          "fields": {
            "model": {
              "type": "string",
              "id": 1
            },
            "chip": {
              "type": "string",
              "id": 2
            },
            "memory": {
              "type": "int32",
              "id": 3
            },
            "flops": {
              "type": "DeviceFlops",
              "id": 4
            }
          }
        },
        "DeviceFlops": {
          "fields": {
            "fp32": {
              "type": "double",
              "id": 1
            },
            "fp16": {
              "type": "double",
              "id": 2
            },
            "int8": {
              "type": "double",
              "id": 3
            }
          }
        },
        "SendResultRequest": {
          "oneofs": {
            "_tensor": {
              "oneof": [
                "tensor"
              ]
            }
          },
          "fields": {
            "request_id": {
              "type": "string",
              "id": 1
            },
            "result": {
              "rule": "repeated",
              "type": "int32",
              "id": 2
            },
            "tensor": {
              "type": "Tensor",
              "id": 3,
              "options": {
                "proto3_optional": true
              }
            },
            "is_finished": {
              "type": "bool",
              "id": 4
            }
          }
        },
        "SendOpaqueStatusRequest": {
          "fields": {
            "request_id": {
              "type": "string",
              "id": 1
            },
            "status": {
              "type": "string",
              "id": 2
            }
          }
        },
        "HealthCheckRequest": {
          "fields": {}
        },
        "HealthCheckResponse": {
          "fields": {
            "is_healthy": {
              "type": "bool",
              "id": 1
            }
          }
        },
        "Empty": {
          "fields": {}
        }
      }
    }
  }
};
