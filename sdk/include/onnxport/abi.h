/* SPDX-License-Identifier: Apache-2.0
 *
 * The onnxport C ABI, version 1.4. C11, and the only binary contract between the host and a plugin.
 *
 * Rules that hold for everything in this file:
 *
 * - Structs begin with `struct_size`, the size that the side that fills them knows. Tables and structs only ever grow
 *   at the end; a reader checks struct_size before it reads a later member. Those that stand in arrays or inside others
 *   (string, dim, attribute, architecture, known_gap, magic, prefix, size) never grow.
 * - Strings are UTF-8 with a length, not null-terminated, borrowed for the duration of the call unless the member's
 *   comment says otherwise. Dimensions are int64_t.
 * - A fallible function returns onnxport_status*; null is success. On failure no output argument has been written. A
 *   status belongs to whoever received it and is freed with onnxport_host.status_release, or handed on by returning it.
 * - No exception crosses this boundary in either direction.
 * - Threads: [host-thread] is called on the thread that runs the export, one call at a time per object; [any-thread]
 *   is callable from any thread, concurrently.
 * - A library is never unloaded. Handles live until the release function that is named with them; handles without one
 *   are borrowed and end with the call that delivered them. Rationale: unloading a library whose code or type
 *   information is still referenced is undefined, and a process that exports models gains nothing from it.
 * - get_interface() returns null for an interface that is not offered. This is an answer, not an error: ask, then do
 *   without, or fail with a text that names the interface.
 */
#ifndef ONNXPORT_ABI_H
#define ONNXPORT_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ONNXPORT_ABI_MAJOR 1u
#define ONNXPORT_ABI_MINOR 4u
#define ONNXPORT_ENDIAN_MARK 0x01020304u
#define ONNXPORT_ENTRY_SYMBOL "onnxport_plugin_entry"
#define ONNXPORT_ABI_VENDOR "onnxport"

#if defined(_WIN32)
#define ONNXPORT_EXPORT __declspec(dllexport)
#else
#define ONNXPORT_EXPORT __attribute__((visibility("default")))
#endif

/* ------------------------------------------------------------------------------------------- vocabulary */

/* UTF-8 text of `size` bytes; `data` may be null where size is 0. */
typedef struct onnxport_string {
  const char* data;
  size_t size;
} onnxport_string;

/* Why a call failed. The numbers are stable. */
typedef enum onnxport_code {
  ONNXPORT_OK = 0,
  ONNXPORT_INVALID_ARGUMENT = 1, /* the caller broke a rule of this file */
  ONNXPORT_UNSUPPORTED = 2,      /* a feature or config option that the plugin does not implement */
  ONNXPORT_CONFIG = 3,           /* a config field is absent, of another type or out of range */
  ONNXPORT_WEIGHTS = 4,          /* a tensor is missing or has another shape or type */
  ONNXPORT_GRAPH = 5,            /* an operator was given inputs it cannot take */
  ONNXPORT_INTERNAL = 6          /* anything else; an exception that was caught at the boundary */
} onnxport_code;

typedef struct onnxport_status onnxport_status;

/* Element types. The numbers are those of onnx.TensorProto.DataType. */
typedef enum onnxport_dtype {
  ONNXPORT_UNDEFINED = 0,
  ONNXPORT_F32 = 1,
  ONNXPORT_U8 = 2,
  ONNXPORT_I8 = 3,
  ONNXPORT_U16 = 4,
  ONNXPORT_I16 = 5,
  ONNXPORT_I32 = 6,
  ONNXPORT_I64 = 7,
  ONNXPORT_BOOL = 9,
  ONNXPORT_F16 = 10,
  ONNXPORT_F64 = 11,
  ONNXPORT_U32 = 12,
  ONNXPORT_U64 = 13,
  ONNXPORT_BF16 = 16,
  ONNXPORT_F8E4M3FN = 17,
  ONNXPORT_F8E5M2 = 19
} onnxport_dtype;

/* One axis: a fixed size (>= 0, symbol empty), or size -1 and a symbol. Since 1.1 an input's axis may have both: it is
 * of that size in the graph, and the file leaves it open under the symbol. A symbol is a name ("batch") or a sum of
 * names, integers and products of both ("past_sequence + sequence", "2*patches + 1"). */
typedef struct onnxport_dim {
  int64_t size;
  onnxport_string symbol;
} onnxport_dim;

/* A tensor's type. dims: `rank` entries, borrowed. */
typedef struct onnxport_type {
  size_t struct_size;
  int32_t dtype;
  uint32_t rank;
  const onnxport_dim* dims;
} onnxport_type;

/* A small tensor with its bytes: row-major, little-endian, `bytes` long. Borrowed during the call. */
typedef struct onnxport_tensor {
  size_t struct_size;
  int32_t dtype;
  uint32_t rank;
  const int64_t* shape;
  const void* data;
  size_t bytes;
} onnxport_tensor;

/* A value of a graph. 0 is "absent" (an optional input that is not given). */
typedef uint32_t onnxport_value;

typedef enum onnxport_attribute_type {
  ONNXPORT_ATTR_INT = 1,
  ONNXPORT_ATTR_FLOAT = 2,
  ONNXPORT_ATTR_STRING = 3,
  ONNXPORT_ATTR_INTS = 4,
  ONNXPORT_ATTR_FLOATS = 5
} onnxport_attribute_type;

/* A named attribute. Which of the value members counts follows from `type`. */
typedef struct onnxport_attribute {
  size_t struct_size;
  onnxport_string name;
  int32_t type;
  int64_t i;
  double f;
  onnxport_string s;
  const int64_t* ints;  /* `count` entries */
  const double* floats; /* `count` entries */
  size_t count;
} onnxport_attribute;

/* ----------------------------------------------------------------------------------------------- handles */

typedef struct onnxport_host onnxport_host;
typedef struct onnxport_graph onnxport_graph;             /* host object; borrowed during forward()/lower() */
typedef struct onnxport_config onnxport_config;           /* host object: one node of config.json */
typedef struct onnxport_onnx_config onnxport_onnx_config; /* plugin object: a model type with a feature */

/* -------------------------------------------------------------------------------------- what a host offers */

/* The host's root table. It outlives every plugin. */
struct onnxport_host {
  size_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  onnxport_string name;
  onnxport_string version;
  /* The table of an interface, or null where it is not offered. Names and versions: "graph" 1,
   * "weights" 1, "config" 1, "log" 1; since 1.4 "models" 1. The table outlives the plugin. [any-thread] since 1.0 */
  const void* (*get_interface)(const onnxport_host* host, onnxport_string name, uint32_t version);
  /* A new status owned by the caller; text and place are copied. `place` may be empty, else a module path
   * ("encoder.layer.3.attention"). Never null. [any-thread] since 1.0 */
  onnxport_status* (*status_make)(onnxport_code code, onnxport_string text, onnxport_string place);
  /* The parts of a status; the strings live as long as the status. [any-thread] since 1.0 */
  onnxport_code (*status_code)(const onnxport_status* status);
  onnxport_string (*status_text)(const onnxport_status* status);
  onnxport_string (*status_place)(const onnxport_status* status);
  /* Frees a status; null is allowed. [any-thread] since 1.0 */
  void (*status_release)(onnxport_status* status);
};

/* "graph" 1: builds a graph. All functions [host-thread], since 1.0. Values belong to the graph. */
typedef struct onnxport_node {
  size_t struct_size;
  onnxport_string domain; /* "" is ONNX; "onnxport" holds the composites; others are the plugin's own */
  onnxport_string op;
  onnxport_string scope; /* module path of the step, from which node and value names are made */
  const onnxport_value* inputs;
  size_t input_count;
  const onnxport_attribute* attributes;
  size_t attribute_count;
  size_t output_count;
} onnxport_node;

/* A recurrence, ONNX's Scan. A step is given the states, a slice of the first axis of each walked value, and the
 * captures; it yields the states, of the same types, and `row_count` rows. since 1.4 */
typedef struct onnxport_scan {
  size_t struct_size;
  onnxport_string scope;
  const onnxport_value* states; /* what the first step is given */
  size_t state_count;
  const onnxport_value* walked; /* at least one; their first axes are of one length, the number of steps */
  size_t walked_count;
  const onnxport_value* captures; /* what every step sees of the graph around it */
  size_t capture_count;
  size_t row_count;
  /* Called once, during scan(), to define a step in a graph of its own, which has no inputs and weights but those
   * given: `inputs` are the states, slices and captures, in this order; it writes state_count + row_count values to
   * `outputs`. */
  onnxport_status* (*step)(void* context, onnxport_graph* step, const onnxport_value* inputs, onnxport_value* outputs);
  void* context;
} onnxport_scan;

typedef struct onnxport_graph_1 {
  size_t struct_size;
  /* The graph input `name`, as the onnx-config described it. INVALID_ARGUMENT where it did not. Since 1.4, in a model
   * that runs within another: 0 where that one gives none. */
  onnxport_status* (*input)(onnxport_graph* graph, onnxport_string name, onnxport_value* out);
  /* Adds a node; writes node->output_count values to `outputs`. GRAPH where the operator is unknown or its
   * inputs do not fit; the text names both shapes. */
  onnxport_status* (*node)(onnxport_graph* graph, const onnxport_node* node, onnxport_value* outputs);
  /* A constant with a copy of the tensor's bytes. Equal constants are stored once. */
  onnxport_status* (*constant)(onnxport_graph* graph, const onnxport_tensor* tensor, onnxport_value* out);
  /* Declares `value` as the graph output `name`. Its type must agree with the description. */
  onnxport_status* (*output)(onnxport_graph* graph, onnxport_string name, onnxport_value value);
  /* Names a step of the model ("hidden_states.0") so that a user can ask for it with --outputs. Costs nothing
   * where nobody does. */
  onnxport_status* (*mark)(onnxport_graph* graph, onnxport_string name, onnxport_value value);
  /* 1 where the user asked for the further output `name`, a step of which a forward() does more work. */
  int32_t (*wants)(onnxport_graph* graph, onnxport_string name);
  /* The inferred type of a value. The dims are borrowed until the next call on this graph. */
  onnxport_status* (*type_of)(onnxport_graph* graph, onnxport_value value, onnxport_type* out);
  /* 1 where the host knows the operator, so that a plugin can use a newer composite where there is one. */
  int32_t (*has_operator)(onnxport_graph* graph, onnxport_string domain, onnxport_string op);
  /* Adds a recurrence; writes the states behind the last step and then the rows of all, one behind the other along a
   * new first axis. since 1.4 */
  onnxport_status* (*scan)(onnxport_graph* graph, const onnxport_scan* scan, onnxport_value* outputs);
} onnxport_graph_1;

/* "weights" 1: the checkpoint's tensors by name. All functions [host-thread], since 1.0. */
typedef struct onnxport_weights_1 {
  size_t struct_size;
  /* The tensor `name`, expected to have this shape. A name is tried as it is, with and without the base
   * model's prefix, and in its older spellings (gamma/beta). A missing or mis-shaped tensor is no failure
   * here: the host collects them and reports all of them together after forward(). */
  onnxport_status* (*weight)(onnxport_graph* graph, onnxport_string name, const int64_t* shape, uint32_t rank,
                             onnxport_value* out);
  /* 1 where the checkpoint has the tensor (under any of its spellings). */
  int32_t (*has)(onnxport_graph* graph, onnxport_string name);
  /* Tensors that match the pattern (* stands for any text) are known not to be used; the user is not told. */
  onnxport_status* (*unused)(onnxport_graph* graph, onnxport_string pattern);
} onnxport_weights_1;

typedef enum onnxport_config_type {
  ONNXPORT_CONFIG_ABSENT = 0,
  ONNXPORT_CONFIG_NULL = 1,
  ONNXPORT_CONFIG_BOOL = 2,
  ONNXPORT_CONFIG_INT = 3,
  ONNXPORT_CONFIG_FLOAT = 4,
  ONNXPORT_CONFIG_STRING = 5,
  ONNXPORT_CONFIG_LIST = 6,
  ONNXPORT_CONFIG_MAP = 7
} onnxport_config_type;

/* "config" 1: reads config.json. All functions [host-thread], since 1.0. The host notes which fields are read
 * and tells the user of fields that no one read. Handles and strings live as long as the onnx-config. */
typedef struct onnxport_config_1 {
  size_t struct_size;
  /* The member `key` of a map; a handle of type ABSENT where there is none. Never null. */
  const onnxport_config* (*member)(const onnxport_config* config, onnxport_string key);
  /* The entry `index` of a list; ABSENT where out of range. Never null. */
  const onnxport_config* (*entry)(const onnxport_config* config, size_t index);
  onnxport_config_type (*type)(const onnxport_config* config);
  size_t (*size)(const onnxport_config* config); /* entries of a list or map, else 0 */
  int32_t (*as_bool)(const onnxport_config* config);
  int64_t (*as_int)(const onnxport_config* config);
  double (*as_float)(const onnxport_config* config); /* of an INT or a FLOAT */
  onnxport_string (*as_string)(const onnxport_config* config);
  onnxport_string (*key)(const onnxport_config* config, size_t index); /* of a map, in the file's order */
} onnxport_config_1;

typedef enum onnxport_log_level {
  ONNXPORT_LOG_DEBUG = 0,
  ONNXPORT_LOG_NOTE = 1,
  ONNXPORT_LOG_WARNING = 2
} onnxport_log_level;

/* "log" 1. [any-thread], since 1.0 */
typedef struct onnxport_log_1 {
  size_t struct_size;
  void (*message)(onnxport_log_level level, onnxport_string text);
} onnxport_log_1;

/* A model that another one is put together of. A host object; it lives as long as the onnx-config of which config it
 * was opened. since 1.4 */
typedef struct onnxport_component onnxport_component;
typedef struct onnxport_description onnxport_description;

/* Which model. All borrowed during the call. since 1.4 */
typedef struct onnxport_component_request {
  size_t struct_size;
  const onnxport_config* config; /* a map of the config.json that create() was given, or all of it */
  onnxport_string model_type;    /* empty: the one that the map states */
  onnxport_string feature;
  onnxport_string options; /* what is chosen for it, as the JSON text of a map; may be empty */
} onnxport_component_request;

/* One way in which a checkpoint may call a component's tensors: those that begin with `from` begin with `to`. */
typedef struct onnxport_prefix {
  onnxport_string from, to;
} onnxport_prefix;

/* How a part of a component is run within a graph. All borrowed during the call. since 1.4 */
typedef struct onnxport_component_call {
  size_t struct_size;
  onnxport_string part;  /* one of its parts, those that no layout writes included; "" is the model as one graph */
  onnxport_string scope; /* the module path below which its nodes stand */
  onnxport_string steps; /* before the names of its steps */
  const onnxport_prefix* prefixes; /* a tensor is the first that the checkpoint has of those that they make */
  size_t prefix_count;
  const onnxport_string* input_names; /* inputs of the part; those that are not given are absent */
  const onnxport_value* inputs;
  size_t input_count;
  const onnxport_string* output_names; /* outputs of the part, or its steps ("hidden_states.3") */
  size_t output_count;
} onnxport_component_call;

/* "models" 1: models within a model, each of a type that some installed plugin has. All functions [host-thread], since
 * 1.4. */
typedef struct onnxport_models_1 {
  size_t struct_size;
  /* UNSUPPORTED where no plugin has the type or the feature, CONFIG where its plugin refuses the config. */
  onnxport_status* (*open)(const onnxport_component_request* request, onnxport_component** out);
  /* Has the component's plugin describe one of its parts to `out`, which is the caller's. */
  onnxport_status* (*describe)(onnxport_component* component, onnxport_string part, onnxport_description* out);
  /* Defines a part within the graph; writes call->output_count values to `outputs`. */
  onnxport_status* (*forward)(onnxport_component* component, onnxport_graph* graph, const onnxport_component_call* call,
                              onnxport_value* outputs);
} onnxport_models_1;

/* ------------------------------------------------------------------------------------ what a plugin offers */

/* Compared by the host field by field before anything else is read; a difference is reported with both values. */
typedef struct onnxport_magic {
  size_t struct_size;
  uint32_t pointer_bits;
  uint32_t endian_mark; /* ONNXPORT_ENDIAN_MARK as the plugin's compiler stores it */
  uint32_t abi_major;
  uint32_t abi_minor_needed; /* the lowest minor version with which the plugin works, not the header's */
  char vendor[16];           /* "onnxport"; a fork that is incompatible on purpose uses another */
} onnxport_magic;

/* A pair of text: config.json's class name -> the feature it stands for. */
typedef struct onnxport_architecture {
  onnxport_string name;    /* "BertForPreTraining" */
  onnxport_string feature; /* "masked-lm" */
} onnxport_architecture;

/* Something that the plugin knows it does not do. It is met where every one of architecture, feature and option that is
 * not empty fits; at least one is not. since 1.3 */
typedef struct onnxport_known_gap {
  onnxport_string architecture; /* a class name of config.json: "T5ForTokenClassification" */
  onnxport_string feature;      /* "token-classification" */
  onnxport_string option;       /* a field of config.json and its value as JSON: "parallel_attn=false" */
  onnxport_string reason;       /* for people: why, or what to do instead */
} onnxport_known_gap;

/* One family of model types that share their features. All strings static. */
typedef struct onnxport_model {
  size_t struct_size;
  const onnxport_string* model_types;
  size_t model_type_count;
  const onnxport_string* features;
  size_t feature_count;
  const onnxport_architecture* architectures; /* where the class name's ending does not tell the feature */
  size_t architecture_count;
  const onnxport_known_gap* known_gaps; /* since 1.3 */
  size_t known_gap_count;               /* since 1.3 */
} onnxport_model;

/* What an input is. Dummy inputs, the check of a cache and the layouts go by it, never by an input's name. A role that
 * a host does not know counts as OTHER. since 1.2 */
typedef enum onnxport_role {
  ONNXPORT_ROLE_OTHER = 0,        /* none of those below: the host goes by its element type and limit */
  ONNXPORT_ROLE_IDS = 1,          /* a text's tokens */
  ONNXPORT_ROLE_MASK = 2,         /* 1 where a place of `of` counts, 0 where it is padding */
  ONNXPORT_ROLE_POSITIONS = 3,    /* of the tokens `of`, counted along their mask */
  ONNXPORT_ROLE_TOKEN_TYPES = 4,  /* which text of a pair each of the tokens `of` belongs to */
  ONNXPORT_ROLE_BOXES = 5,        /* x0, y0, x1, y1 with x0 <= x1 and y0 <= y1, for each of the tokens `of` */
  ONNXPORT_ROLE_PIXELS = 6,       /* [..., channels, height, width] */
  ONNXPORT_ROLE_WAVEFORM = 7,     /* samples of sound */
  ONNXPORT_ROLE_FEATURES = 8,     /* what was computed of sound or another signal: a spectrogram */
  ONNXPORT_ROLE_STATE = 9,        /* what an earlier step left; state() says more */
  ONNXPORT_ROLE_HIDDEN = 10,      /* another part's result; `of` names that part's output */
  ONNXPORT_ROLE_EMBEDDINGS = 11,  /* vectors of tokens, in place of their ids */
  ONNXPORT_ROLE_GLOBAL_MASK = 12, /* 1 where one of the tokens `of` attends to all and all to it */
  ONNXPORT_ROLE_FLAG = 13         /* a choice: `fill`, else false */
} onnxport_role;

/* What the host is told of an input beyond its type. since 1.2 */
typedef struct onnxport_input_info {
  size_t struct_size;
  int32_t role; /* an onnxport_role */
  /* The input to which this one belongs; or, of HIDDEN and of a mask that goes with it, the output of the part that
   * makes it. May be empty. */
  onnxport_string of;
  double low, high; /* dummy reals lie in [low, high); where low >= high the host's own range counts */
  double fill;      /* every dummy value, where has_fill is not 0 */
  int32_t has_fill;
} onnxport_input_info;

/* How long an axis may be. 0 in a member: the host's own choice, no bound, no step. since 1.2 */
typedef struct onnxport_axis_size {
  size_t struct_size;
  int64_t usual, minimum, maximum;
  int64_t step; /* lengths are multiples of it */
} onnxport_axis_size;

/* One state of a cache: what a step takes from the one before it, and what it leaves. since 1.2 */
typedef struct onnxport_state {
  size_t struct_size;
  onnxport_string past; /* the input */
  /* The output of the same graph, or of its first step; a graph without it keeps the state as it was given. */
  onnxport_string present;
  int32_t grows; /* the axis along which a step appends; -1: it is replaced as a whole, or kept */
  int64_t kept;  /* not 0: made by the first step and left as it is. since 1.4 */
} onnxport_state;

/* Where describe() delivers; a host object with one function a fact. All [host-thread], since 1.0. */
struct onnxport_description {
  size_t struct_size;
  /* An input or output of the graph, in the order of the ONNX file. An input's type is complete. An output's
   * dtype may be UNDEFINED and an axis may be {-1, ""}, or missing at the end: inference fills these in. */
  onnxport_status* (*input)(onnxport_description* self, onnxport_string name, const onnxport_type* type);
  onnxport_status* (*output)(onnxport_description* self, onnxport_string name, const onnxport_type* type);
  /* Integer facts: "default_opset", "min_opset", "with_past", "num_layers", "num_attention_heads"; since 1.2
   * "max_positions", the longest text or other sequence; since 1.4 "version:DOMAIN", the version of a domain of the
   * plugin's own operators, which is 1 where it is not told. */
  onnxport_status* (*integer)(onnxport_description* self, onnxport_string name, int64_t value);
  /* Real facts: "atol_for_validation". */
  onnxport_status* (*real)(onnxport_description* self, onnxport_string name, double value);
  /* Text facts: "base_model_prefix"; since 1.1 "parts", the names that describe() and forward() take as `part`, joined
   * by commas: "encoder,decoder,decoder_with_past", and "keep_in_fp32", parts of modules' paths, joined alike;
   * since 1.2 "first_step", in the description of a part that only runs behind another one: the name of that, and
   * "positions", where a decoder's positions come from, if it is the user who may choose ("position_ids" among the
   * options): "sequence", "mask" or "input"; since 1.4 "encoder_keys", which part makes the keys and values by which a
   * decoder attends to an encoder, if it is the user who may choose (by an option of this name): "decoder" or
   * "encoder". */
  onnxport_status* (*text)(onnxport_description* self, onnxport_string name, onnxport_string value);
  /* values_override: a config field that the export changes, with its value as JSON text ("false"). */
  onnxport_status* (*value_override)(onnxport_description* self, onnxport_string key, onnxport_string json);
  /* patching_specs: for this export, `op` of `domain` is lowered by the plugin's lower() with this `tag`. Since 1.4, of
   * a domain that is neither "" nor "onnxport": node() takes this operator, and lower() builds what it is made of. */
  onnxport_status* (*patch)(onnxport_description* self, onnxport_string domain, onnxport_string op, uint64_t tag);
  /* The largest index + 1 that an integer input may hold ("input_ids", vocab size), for dummy inputs. */
  onnxport_status* (*value_limit)(onnxport_description* self, onnxport_string input, int64_t limit);
  /* What the input is, which has been delivered before. since 1.2 */
  onnxport_status* (*input_info)(onnxport_description* self, onnxport_string input, const onnxport_input_info* info);
  /* How long the axes of this symbol may be, in all inputs. since 1.2 */
  onnxport_status* (*axis_size)(onnxport_description* self, onnxport_string symbol, const onnxport_axis_size* size);
  /* A state of the cache; its input has been delivered before. since 1.2 */
  onnxport_status* (*state)(onnxport_description* self, const onnxport_state* state);
};

/* What create() is asked for. All borrowed during the call, but `config`, which lives until release(). */
typedef struct onnxport_request {
  size_t struct_size;
  const onnxport_host* host;
  const onnxport_config* config;
  onnxport_string model_type;
  onnxport_string feature; /* one of the model's features */
  /* What the user chose for this export, as a map ("position_ids": "input"); lives as long as `config`. An option
   * that nobody reads is an error that the user is told. since 1.1 */
  const onnxport_config* options;
} onnxport_request;

/* A length of an axis, by its symbol. */
typedef struct onnxport_size {
  onnxport_string symbol;
  int64_t size;
} onnxport_size;

/* What dummy_inputs() is asked for. All borrowed during the call. since 1.2 */
typedef struct onnxport_dummy_request {
  size_t struct_size;
  const onnxport_size* sizes; /* of every axis that the part's inputs have */
  size_t size_count;
  uint64_t seed;
  int32_t varied; /* not 0: rows of different lengths and contents, which tests more */
} onnxport_dummy_request;

/* Where dummy_inputs() delivers; a host object. [host-thread], since 1.2 */
typedef struct onnxport_tensors onnxport_tensors;
struct onnxport_tensors {
  size_t struct_size;
  /* A copy of the tensor for the input `name`, of its declared type and of the sizes that were asked for. */
  onnxport_status* (*add)(onnxport_tensors* self, onnxport_string name, const onnxport_tensor* tensor);
};

/* "onnx-config" 1: OnnxConfig over the ABI. All functions [host-thread], since 1.0. */
typedef struct onnxport_onnx_config_1 {
  size_t struct_size;
  /* A new object, owned by the host and freed with release(). CONFIG or UNSUPPORTED name the field. */
  onnxport_status* (*create)(const onnxport_request* request, onnxport_onnx_config** out);
  void (*release)(onnxport_onnx_config* self);
  /* Delivers inputs, outputs and facts of one part: "" is the model as one graph, which every model has; the others are
   * those of the fact "parts". */
  onnxport_status* (*describe)(onnxport_onnx_config* self, onnxport_string part, onnxport_description* out);
  /* Defines the graph of one part. */
  onnxport_status* (*forward)(onnxport_onnx_config* self, onnxport_string part, onnxport_graph* graph);
  /* Lowers one node that a patch claimed: builds its replacement in `graph` from `inputs` and writes
   * node->output_count values. Null where describe() delivers no patch. node->inputs are the values. */
  onnxport_status* (*lower)(onnxport_onnx_config* self, uint64_t tag, onnxport_graph* graph, const onnxport_node* node,
                            onnxport_value* outputs);
  /* The plugin's own dummy inputs of a part. Those that it does not deliver are the host's. May be null. since 1.2 */
  onnxport_status* (*dummy_inputs)(onnxport_onnx_config* self, onnxport_string part,
                                   const onnxport_dummy_request* request, onnxport_tensors* out);
} onnxport_onnx_config_1;

/* All that a plugin exports, static data of the library. */
typedef struct onnxport_plugin {
  size_t struct_size;
  onnxport_magic magic;
  onnxport_string id; /* reverse domain: "org.onnxport.bert" */
  onnxport_string name;
  onnxport_string version;
  onnxport_string license;
  onnxport_string vendor;
  const onnxport_model* const* models;
  size_t model_count;
  /* The table of an interface of the plugin ("onnx-config" 1), or null. [any-thread] since 1.0 */
  const void* (*get_interface)(onnxport_string name, uint32_t version);
} onnxport_plugin;

/* The one exported symbol: const onnxport_plugin* onnxport_plugin_entry(void). Never null; does no work. */
typedef const onnxport_plugin* (*onnxport_plugin_entry_fn)(void);

#ifdef __cplusplus
}
#endif

#endif
