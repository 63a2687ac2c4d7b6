"""The parts of NVIDIA's schemas that exports use, compiled with protoc: names, types and numbers of fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SCHEMAS = {
    "tao": """
        syntax = "proto3";
        message ClusteringConfig {
            float coverage_threshold = 1; int32 minimum_bounding_box_height = 2;
            enum ClusteringAlgorithm { DBSCAN = 0; NMS = 1; HYBRID = 2; }
            ClusteringAlgorithm clustering_algorithm = 3;
            float dbscan_eps = 4; int32 dbscan_min_samples = 5; int32 neighborhood_size = 6;
            float dbscan_confidence_threshold = 7; float nms_iou_threshold = 8; float nms_confidence_threshold = 9;
        }
        message TensorRTConfig {
            enum Parser { CAFFE = 0; UFF = 1; ETLT = 2; }
            enum BackendDataType { FP32 = 0; FP16 = 1; INT8 = 2; }
            Parser parser = 1; BackendDataType backend_data_type = 6; bool save_engine = 7; string trt_engine = 8;
        }
        message InferencerConfig {
            oneof model_config_type { TensorRTConfig tensorrt_config = 2; }
            repeated string input_nodes = 3; repeated string output_nodes = 4; int32 batch_size = 5;
            int32 image_height = 6; int32 image_width = 7; int32 image_channels = 8; int32 gpu_index = 9;
            repeated string target_classes = 10; int32 stride = 11;
        }
        message Handler {
            ClusteringConfig clustering_config = 1; string confidence_model = 2; string output_map = 3;
            message BboxColor { int32 R = 1; int32 G = 2; int32 B = 3; }
            BboxColor bbox_color = 7;
        }
        message BboxHandlerConfig {
            bool kitti_dump = 1; bool disable_overlay = 2; int32 overlay_linewidth = 3;
            map<string, Handler> classwise_bbox_handler_config = 4;
        }
        message TargetClassConfig { ClusteringConfig clustering_config = 1; }
        message PostProcessingConfig { map<string, TargetClassConfig> target_class_config = 1; }
        message Inference { InferencerConfig inferencer_config = 1; BboxHandlerConfig bbox_handler_config = 2; }
        message Experiment { PostProcessingConfig postprocessing_config = 1; }
    """,
    "triton": """
        syntax = "proto3";
        message DBSCANConfig {
            float dbscan_eps = 1; float dbscan_min_samples = 2; int32 neighborhood_size = 3;
            float dbscan_confidence_threshold = 4;
        }
        message ClusteringConfig {
            float coverage_threshold = 1; int32 minimum_bounding_box_height = 2; DBSCANConfig dbscan_config = 3;
            message BboxColor { int32 R = 1; int32 G = 2; int32 B = 3; }
            BboxColor bbox_color = 4;
        }
        message PostprocessingConfig {
            map<string, ClusteringConfig> classwise_clustering_config = 1; int32 linewidth = 2; int32 stride = 3;
        }
    """,
    "nvinferserver": """
        syntax = "proto3";
        enum MediaFormat { MEDIA_FORMAT_NONE = 0; IMAGE_FORMAT_RGB = 1; }
        enum TensorOrder { TENSOR_ORDER_NONE = 0; TENSOR_ORDER_LINEAR = 1; }
        message PreProcessParams {
            message ScaleNormalize { float scale_factor = 1; repeated float channel_offsets = 2; }
            MediaFormat network_format = 1; TensorOrder tensor_order = 2; string tensor_name = 3;
            int32 maintain_aspect_ratio = 4; int32 symmetric_padding = 8;
            oneof preprocess_method { ScaleNormalize normalize = 7; }
        }
        message DetectionParams {
            message Nms { float confidence_threshold = 1; float iou_threshold = 2; int32 topk = 3; }
            message DbScan { float pre_threshold = 1; float eps = 3; int32 min_boxes = 4; float min_score = 5; }
            message PerClassParams { float pre_threshold = 1; }
            int32 num_detected_classes = 1; map<int32, PerClassParams> per_class_params = 2;
            oneof clustering_policy { Nms nms = 4; DbScan dbscan = 5; }
        }
        message PostProcessParams {
            string labelfile_path = 1; oneof process_type { DetectionParams detection = 2; }
        }
        message TritonModelRepo { repeated string root = 1; bool strict_model_config = 3; }
        message TritonParams {
            string model_name = 1; int64 version = 2; oneof server { TritonModelRepo model_repo = 4; }
        }
        message BackendParams { oneof infer_framework { TritonParams triton = 4; } }
        message InferenceConfig {
            uint32 unique_id = 1; repeated int32 gpu_ids = 2; uint32 max_batch_size = 3; BackendParams backend = 4;
            oneof preprocessing { PreProcessParams preprocess = 5; }
            oneof postprocessing { PostProcessParams postprocess = 6; }
        }
        message PluginControl {
            message BBoxFilter {
                uint32 min_width = 1; uint32 min_height = 2; uint32 max_width = 3; uint32 max_height = 4;
            }
            message DetectClassFilter {
                BBoxFilter bbox_filter = 1; uint32 roi_top_offset = 2; uint32 roi_bottom_offset = 3;
            }
            message OutputDetectionControl {
                DetectClassFilter default_filter = 1; map<uint32, DetectClassFilter> specific_class_filters = 2;
            }
            enum ProcessMode { PROCESS_MODE_DEFAULT = 0; PROCESS_MODE_FULL_FRAME = 1; }
            message InputControl { ProcessMode process_mode = 1; oneof inference_interval { uint32 interval = 4; } }
            message OutputControl { oneof postprocess_control { OutputDetectionControl detect_control = 2; } }
            InferenceConfig infer_config = 1; InputControl input_control = 2; OutputControl output_control = 3;
        }
    """,
    "model": """
        syntax = "proto3";
        enum DataType { TYPE_INVALID = 0; TYPE_FP32 = 11; }
        message Tensor { string name = 1; DataType data_type = 2; repeated int64 dims = 3; }
        message ModelConfig {
            string name = 1; string platform = 2; int32 max_batch_size = 4; repeated Tensor input = 5;
            repeated Tensor output = 6; string default_model_filename = 8;
        }
    """,
}


def compile_schemas(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the message classes of each schema by name."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from grpc_tools import protoc

    found = {}
    for name, text in SCHEMAS.items():
        (folder / f"{name}.proto").write_text(text)
        out = folder / f"{name}.pb"
        args = ["protoc", f"-I{folder}", f"--descriptor_set_out={out}", f"{name}.proto"]
        assert protoc.main(args) == 0
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
        pool = descriptor_pool.DescriptorPool()
        pool.Add(files.file[0])
        found[name] = message_factory.GetMessageClassesForFiles([f"{name}.proto"], pool)
    return found
