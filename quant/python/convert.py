for key, value in state.items():
    owner, mark, buffer = key.partition("_COREML_/")
    if mark:
        model.get_submodule(owner.rstrip(".")).register_buffer(mark + buffer, value)
model.load_state_dict(state)

# With the default target the converter would ignore the buffers and say nothing.
traced = torch.jit.trace(model.eval(), example)
package = ct.convert(
    traced,
    inputs=[ct.TensorType(shape=example.shape)],
    minimum_deployment_target=ct.target.iOS18,
)
package.save(MODEL_PACKAGE)
