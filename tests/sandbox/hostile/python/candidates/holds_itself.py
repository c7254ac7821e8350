# failed: contains itself
def f(x):
    result = {}
    result["result"] = [result]
    return result
