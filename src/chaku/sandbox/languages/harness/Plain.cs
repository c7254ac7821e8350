// Copies a candidate's return value into the language's own classes, so that the candidate's `Equals` is never called.
static class Plain {
    public static T Of<T>(T value) {
        if (value != null && !Ours(value.GetType()))
            throw new System.ArgumentException("returned a " + value.GetType() + ", which is no plain value");
        return value;
    }
    public static System.Collections.Generic.List<T> Of<T>(System.Collections.Generic.List<T> value) {
        if (value == null) return null;
        var copy = new System.Collections.Generic.List<T>();
        foreach (var item in value) copy.Add(Of(item));
        return copy;
    }
    public static System.Collections.Generic.Dictionary<K, V> Of<K, V>(System.Collections.Generic.Dictionary<K, V> value) {
        if (value == null) return null;
        var copy = new System.Collections.Generic.Dictionary<K, V>();
        foreach (var pair in value) copy.Add(Of(pair.Key), Of(pair.Value));
        return copy;
    }
    public static System.Tuple<A, B> Of<A, B>(System.Tuple<A, B> value) {
        return value == null ? null : System.Tuple.Create(Of(value.Item1), Of(value.Item2));
    }
    static bool Ours(System.Type type) { return type.Assembly == typeof(object).Assembly; }
}
static class Debug {
    public static void Assert(bool holds) { if (!holds) throw new System.Exception("AssertionError"); }
}
