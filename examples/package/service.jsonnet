// What the server reads: who answers for the model, and the tensors of each graph.
function(exported)
  local tensor(value) = { name: value.name, type: value.type, axes: value.axes };
  {
    owner: exported.data.owner,
    task: exported.feature,
    graphs: {
      [graph.file]: { takes: [tensor(value) for value in graph.inputs], gives: [tensor(value) for value in graph.outputs] }
      for graph in exported.graphs
    },
  }
